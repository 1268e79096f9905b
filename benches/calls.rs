//! Makes calls of one row: for counters of instructions and of allocations, not for clocks.
//!
//! ```text
//! calls ROW CALLS     makes so many calls, and prints nothing
//! calls --allocations prints for each row what a call allocates
//! calls --rows        prints the rows
//! ```

use std::process::ExitCode;

use benches::{report::Allocations, row::Row, rows};

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

/// Enough that what a warm table, queue or pool allocates is less than one in a call.
const CALLS: u64 = 1000;

fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime");
    let _entered = runtime.enter();
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args[..] {
        ["--rows"] => {
            for row in rows::all() {
                println!("{}", row.name);
            }
        }
        ["--allocations"] => {
            let _profiler = dhat::Profiler::builder().testing().build();
            let rows = rows::all();
            let counted: Vec<_> = rows
                .iter()
                .map(|row| (row.name, allocations(row)))
                .collect();
            println!("{}", serde_json::json!(counted));
        }
        [name, calls] => {
            let rows = rows::all();
            let row = rows.iter().find(|row| row.name == name);
            let (Some(row), Ok(calls)) = (row, calls.parse()) else {
                eprintln!("no such row, or no such number of calls");
                return ExitCode::FAILURE;
            };
            row.callers().one.run(calls);
        }
        _ => {
            eprintln!("calls ROW CALLS | --allocations | --rows");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

/// What a call of `row` allocates, once it has made some.
fn allocations(row: &Row) -> Allocations {
    let mut caller = row.callers().one;
    caller.run(CALLS);
    let before = dhat::HeapStats::get();
    caller.run(CALLS);
    let after = dhat::HeapStats::get();
    Allocations {
        blocks: (after.total_blocks - before.total_blocks) / CALLS,
        bytes: (after.total_bytes - before.total_bytes) / CALLS,
    }
}
