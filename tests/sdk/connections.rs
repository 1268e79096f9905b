//! Connections of the SDK's client, counted where they come in.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use aws_sdk_bedrockruntime::operation::converse::ConverseInput;
use bedrock_sim::{Scenario, Server};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tower::{Service, ServiceBuilder, ServiceExt};
use tower_bedrock::{
    Bedrock, ClassifyLayer, Error, PoolLayer, Pools, Request, Response, sdk::pooled_https_client,
};
use tower_bedrock_tests::{MODEL, config, converse, model};

type TestResult = Result<(), Box<dyn std::error::Error>>;

const CALLS: usize = 40;

/// Passes connections on, and counts them.
#[derive(Clone, Default)]
struct Counted {
    open: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
}

impl Counted {
    /// The address to call in the place of `server`'s.
    async fn before(&self, server: SocketAddr) -> std::io::Result<SocketAddr> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let counted = self.clone();
        tokio::spawn(async move {
            while let Ok((mut outside, _)) = listener.accept().await {
                let counted = counted.clone();
                tokio::spawn(async move {
                    let open = counted.open.fetch_add(1, Ordering::SeqCst) + 1;
                    counted.most.fetch_max(open, Ordering::SeqCst);
                    if let Ok(mut inside) = TcpStream::connect(server).await {
                        // How a connection ends does not matter.
                        drop(copy_bidirectional(&mut outside, &mut inside).await);
                    }
                    counted.open.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        Ok(address)
    }
}

/// Makes all calls at once, and has each answered.
async fn all_at_once<S, Out>(service: S)
where
    S: Service<Request<ConverseInput>, Response = Response<Out>, Error = Error>
        + Clone
        + Send
        + 'static,
    S::Future: Send,
    Out: Send + 'static,
{
    let calls: JoinSet<_> = (0..CALLS)
        .map(|_| service.clone().oneshot(Request::from(converse(MODEL))))
        .collect();
    for result in calls.join_all().await {
        result.expect("every call is answered");
    }
}

/// Calls in a pool have no more connections than twice its places. Calls that go past the pool meet the
/// client's own bound, where the SDK's client has none.
#[tokio::test]
async fn connections_agree_with_the_pool() -> TestResult {
    let slow = model().latency(Duration::from_millis(30));
    let scenario = Scenario::builder().seed(7).model(slow).build()?;
    let server = Server::bind("127.0.0.1:0", scenario).await?;
    let address: SocketAddr = server.url().trim_start_matches("http://").parse()?;
    let most = async |max_in_flight: Option<usize>, is_pooled: bool| -> Result<_, String> {
        let counted = Counted::default();
        let url = counted.before(address).await.map_err(|e| e.to_string())?;
        let mut config = config(format!("http://{url}"));
        if let Some(calls) = max_in_flight {
            let client = pooled_https_client(calls).map_err(|error| error.to_string())?;
            config = config.http_client(client);
        }
        let pools = Pools::new().with_max_in_flight(if is_pooled { 4 } else { CALLS });
        let service = ServiceBuilder::new()
            .layer(PoolLayer::new(pools))
            .layer(ClassifyLayer::new())
            .service(Bedrock::from_builder(config));
        all_at_once(service).await;
        Ok(counted.most.load(Ordering::SeqCst))
    };
    let with_both = most(Some(4), true).await?;
    assert!((1..=8).contains(&with_both), "{with_both}");
    let past_the_pool = most(Some(4), false).await?;
    assert_eq!(past_the_pool, 8, "the client's own bound");
    let without = most(None, false).await?;
    assert!(without > 8, "the SDK's own client has none: {without}");
    server.shutdown().await;
    Ok(())
}
