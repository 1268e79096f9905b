//! Real sockets, in real time: a service that dies and comes back under load, answers that never come,
//! readers that dawdle, connections that are reset, peers that vanish. Nothing hangs, and nothing is left.
//!
//! `cargo xtask soak --real --minutes 10` does the same for ten minutes and watches the memory.

mod load;
mod peer;
mod process;
mod vanish;

use std::{env, time::Duration};

use bedrock_sim::Server;
use tokio::time::{Instant, sleep, timeout};
use tower_bedrock_tests::face::{Ask, FaceKind};

use self::{
    load::{Load, client, scenario},
    peer::Peer,
    process::{Left, memory_kib},
};

/// What may come on top of what there was: the test's own, and what the allocator keeps.
const MEMORY_KIB: u64 = 16 * 1024;

/// For `phases` times: the service answers for a while, is killed, and comes back at its address.
async fn storm(phases: usize, each: Duration) -> Load {
    let server = Server::bind("127.0.0.1:0", scenario()).await;
    let mut server = server.expect("an address");
    let address = server.local_addr();
    let load = Load::start(&server.url());
    for _ in 0..phases {
        load.is_answered().await;
        sleep(each).await;
        let service = server.service().clone();
        // Whatever was under way breaks off.
        drop(server);
        sleep(each / 4).await;
        let again = timeout(Duration::from_secs(10), async {
            loop {
                match Server::bind_service(address, service.clone()).await {
                    Ok(server) => return server,
                    Err(_) => sleep(Duration::from_millis(50)).await,
                }
            }
        });
        server = again.await.expect("the address is free again");
    }
    load.is_answered().await;
    load.stop().await;
    server.shutdown().await;
    load
}

/// A service is killed and restarted while twenty callers of each face call it, leave amid streams,
/// dawdle and are dropped: calls are answered before, between and after, none takes longer than it
/// may, and no connection, file or task is left.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_may_die_and_come_back() {
    let before = Left::now();
    let load = storm(3, Duration::from_millis(400)).await;
    println!("{load}");
    assert!(load.failed() > 0, "{load}: it was never gone");
    assert_eq!(load.overdue(), 0, "{load}");
    drop(load);
    before.comes_back().await;
}

/// Services that accept and never answer, that reset at once, amid the head or amid the answer, and
/// that tell it byte by byte: every call of either face ends in time, and leaves nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_peer_holds_a_call_for_ever() {
    let before = Left::now();
    for peer in Peer::ALL {
        let listening = peer.listen().await;
        for kind in FaceKind::ALL {
            let (face, stack) = client(kind, &listening.url());
            for is_stream in [false, true] {
                let ask = Ask {
                    is_stream,
                    timeout: Some(Duration::from_millis(500)),
                    ..Ask::default()
                };
                let start = Instant::now();
                let ended = timeout(Duration::from_secs(20), face.call(&ask)).await;
                let ended = ended.unwrap_or_else(|_| panic!("{peer:?}, {kind:?}: it hangs"));
                let failed = ended.expect_err("nobody answers");
                let took = start.elapsed();
                assert!(took < Duration::from_secs(10), "{peer:?}: {took:?}");
                assert!(failed.cause.is_some(), "{peer:?}, {kind:?}: {failed:?}");
            }
            let held = tower_bedrock_tests::gauges::Gauges::of_layer(&stack).held();
            assert!(held.is_empty(), "{peer:?}, {kind:?}: {held:?}");
        }
    }
    before.comes_back().await;
}

/// For as many minutes as `SOAK_MINUTES` says: memory stays within 16 MiB of what it was after the
/// first tenth.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes: cargo xtask soak --real"]
async fn memory_stays_flat() {
    let minutes = env::var("SOAK_MINUTES").map_or(10, |text| text.parse().expect("a number"));
    let whole = Duration::from_secs(60 * minutes);
    let before = Left::now();
    let at_start = memory_kib();
    println!("   0 s: {at_start} KiB, {before}");
    let start = Instant::now();
    let mut after_warmup = None;
    let mut most = 0;
    while start.elapsed() < whole {
        let load = storm(4, Duration::from_secs(1)).await;
        assert_eq!(load.overdue(), 0, "{load}");
        let (memory, left) = (memory_kib(), Left::now());
        let seconds = start.elapsed().as_secs();
        println!("{seconds:4} s: {memory} KiB, {left}, {load}");
        if start.elapsed() * 10 > whole {
            let base = *after_warmup.get_or_insert(memory);
            most = most.max(memory);
            assert!(memory <= base + MEMORY_KIB, "{memory} KiB, after {base}");
        }
    }
    before.comes_back().await;
    let (base, end) = (after_warmup.unwrap_or(at_start), memory_kib());
    let left = Left::now();
    println!(
        "{at_start} KiB at the start, {base} when warm, {most} at most, {end} at the end; {left}"
    );
}
