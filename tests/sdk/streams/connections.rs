use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use bedrock_sim::Server;
use tokio::net::{TcpListener, TcpStream};
use tower::{buffer::Buffer, util::BoxCloneSyncService};
use tower_bedrock_tests::{MODEL, config, converse_stream, scenario};

use super::*;

/// A way to `server` that counts connections.
async fn counting(server: SocketAddr) -> std::io::Result<(SocketAddr, Arc<AtomicU32>)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let connections = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&connections);
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            count.fetch_add(1, Ordering::Relaxed);
            let mut server = TcpStream::connect(server).await?;
            tokio::spawn(
                async move { tokio::io::copy_bidirectional(&mut client, &mut server).await },
            );
        }
        std::io::Result::Ok(())
    });
    Ok((address, connections))
}

/// A stream that is read to its end gives its connection back: one serves any number of streams, one
/// after the other.
#[tokio::test]
async fn streams_that_end_share_a_connection() -> Result<(), Box<dyn std::error::Error>> {
    let server = Server::bind("127.0.0.1:0", scenario().build()?).await?;
    let (address, connections) = counting(server.local_addr()).await?;
    let bedrock = Bedrock::from_builder(config(format!("http://{address}")));
    for _ in 0..5 {
        let mut stream = call(bedrock.clone(), &quotas(), converse_stream(MODEL)).await?;
        assert!(drain(&mut stream).await.1.is_none());
    }
    assert_eq!(connections.load(Ordering::Relaxed), 1);
    server.shutdown().await;
    Ok(())
}

/// A stream goes through tower's own middleware as any answer does, and into another task.
#[tokio::test]
async fn streams_go_through_buffer_and_box() -> Result<(), Box<dyn std::error::Error>> {
    let sim = SimService::new(scenario().build()?);
    let boxed = BoxCloneSyncService::new(
        ServiceBuilder::new()
            .layer(ClassifyLayer::new())
            .service(bedrock(&sim)),
    );
    let service = ServiceBuilder::new()
        .layer(RetryLayer::new())
        .layer(ClassifyLayer::new())
        .service(Buffer::new(boxed, 8));
    let request = Request::from(converse_stream(MODEL));
    let mut stream: Conversation = service.oneshot(request).await?;
    let reading = tokio::spawn(async move { drain(&mut stream).await.1.map_or(Ok(()), Err) });
    reading.await??;
    Ok(())
}
