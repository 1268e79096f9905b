//! A fallback must not take the second route down with the first (RELIABILITY.md §2.4).

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tower::Service;
use tower_bedrock::{
    BedrockRequest, Cause, Error, FallbackLayer, Jitter, Ladder, Region, Request, Response, Rung,
    Stack,
};
use tower_bedrock_tests::REGION;

use crate::{
    load::{Arrivals, request, run},
    server::{Server, ServerSpec},
};

const SECOND: &str = "us-west-2";
const END: Duration = Duration::from_secs(60);

/// A primary that is down, and a second region.
#[derive(Clone)]
struct Regions {
    second: Server,
}

impl Service<Request<()>> for Regions {
    type Response = Response<()>;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<()>, Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<()>) -> Self::Future {
        let region = request.context().route.region.as_ref();
        if region.map(Region::as_str) == Some(SECOND) {
            return self.second.call(request);
        }
        Box::pin(async { Err(Error::new(Cause::ServiceUnavailable)) })
    }
}

/// What part of the second region's own traffic is answered, and of that of the first, when all of
/// it moves there along `rung`.
async fn goodput(rung: Rung) -> (f64, f64) {
    let second = Server::new(ServerSpec::steady(50.0, Duration::from_secs(1)));
    let regions = Regions {
        second: second.clone(),
    };
    let fallback = FallbackLayer::new(Ladder::new().then(rung)).expect("a ladder of one rung");
    let stack = Stack::over(regions, REGION)
        .fallback(fallback.with_jitter(Jitter::seeded(7)))
        // As long as callers wait for the second region.
        .timeout(Duration::from_secs(1))
        .build()
        .expect("a stack that can be meant");
    let (own, moved) = tokio::join!(
        run(second, Arrivals::Even { rate: 40.0 }, END, request),
        run(
            stack,
            Arrivals::Poisson {
                rate: 80.0,
                seed: 7
            },
            END,
            request
        ),
    );
    (own.goodput(0..60), moved.goodput(0..60))
}

/// A second region of capacity 50 with traffic of 40 of its own gets 80 more. A cap of ten a second
/// keeps all of its own traffic, and uses what is left; without a cap it is lost with the first.
#[tokio::test(start_paused = true)]
async fn a_cap_keeps_the_second_route_alive() {
    let rung = Rung::in_region(SECOND);
    let (own, moved) = goodput(rung.clone().with_max_per_second(10.0)).await;
    println!("capped at 10/s: {own:.3} of the second's own, {moved:.3} of the first's");
    assert!(own >= 0.99, "{own}");
    assert!((0.10..=0.13).contains(&moved), "{moved} of 80, for 10");

    let (own, moved) = goodput(rung).await;
    println!("without a cap: {own:.3} of the second's own, {moved:.3} of the first's");
    assert!(own < 0.80, "{own}");
}
