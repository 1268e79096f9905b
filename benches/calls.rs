//! Makes calls of one row: for counters of instructions and of allocations, not for clocks.
//!
//! ```text
//! calls ROW CALLS     makes so many calls, and prints nothing
//! calls --allocations prints for each row what a call allocates
//! calls --sdk-allocations the same of the AWS SDK, with and without the layers
//! calls --ours        prints the rows of our layers, and what a call costs without them
//! ```

use std::process::ExitCode;

use benches::{report::Allocations, row::Row, rows};

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

/// Enough that what a warm table, queue or pool allocates is less than one in a call.
const CALLS: u64 = 1000;
/// The SDK allocates hundreds of times in a call, each of which takes the counter its time.
#[cfg(feature = "sdk")]
const SDK_CALLS: u64 = 100;

fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime");
    let _entered = runtime.enter();
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args[..] {
        ["--ours"] => {
            for row in rows::ours::rows() {
                println!("{}", row.name);
            }
        }
        ["--allocations"] => {
            print_allocations(&rows::all(), CALLS);
        }
        #[cfg(feature = "sdk")]
        ["--sdk-allocations"] => print_allocations(&rows::sdk::rows(), SDK_CALLS),
        [name, calls] => {
            let rows = every();
            let row = rows.iter().find(|row| row.name == name);
            let (Some(row), Ok(calls)) = (row, calls.parse()) else {
                eprintln!("no such row, or no such number of calls");
                return ExitCode::FAILURE;
            };
            row.callers().one.run(calls);
        }
        _ => {
            eprintln!("calls ROW CALLS | --allocations | --ours");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

fn every() -> Vec<Row> {
    #[allow(unused_mut)]
    let mut rows = rows::all();
    #[cfg(feature = "sdk")]
    rows.extend(rows::sdk::rows());
    rows
}

fn print_allocations(rows: &[Row], calls: u64) {
    let _profiler = dhat::Profiler::builder().testing().build();
    let counted: Vec<_> = rows
        .iter()
        .map(|row| (row.name, allocations(row, calls)))
        .collect();
    println!("{}", serde_json::json!(counted));
}

/// What a call of `row` allocates, once it has made some.
fn allocations(row: &Row, calls: u64) -> Allocations {
    let mut caller = row.callers().one;
    caller.run(calls);
    let before = dhat::HeapStats::get();
    caller.run(calls);
    let after = dhat::HeapStats::get();
    Allocations {
        blocks: (after.total_blocks - before.total_blocks) / calls,
        bytes: (after.total_bytes - before.total_bytes) / calls,
    }
}
