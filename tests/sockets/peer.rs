//! Services that misbehave at the level of their sockets.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::{JoinHandle, JoinSet},
    time::sleep,
};

/// How a service misbehaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Peer {
    /// Accepts, and never says a word.
    Silent,
    /// Resets the connection when it has read a little.
    Resets,
    /// Closes amid the head of its answer.
    HalfAHead,
    /// Says how long its answer is, and closes before.
    HalfAnAnswer,
    /// Tells a byte of its head now and then.
    Dawdles,
}

/// A service that listens until it is dropped.
pub(crate) struct Listening {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Peer {
    pub(crate) const ALL: [Self; 5] = [
        Self::Silent,
        Self::Resets,
        Self::HalfAHead,
        Self::HalfAnAnswer,
        Self::Dawdles,
    ];

    pub(crate) async fn listen(self) -> Listening {
        let listener = TcpListener::bind("127.0.0.1:0").await;
        let listener = listener.expect("an address");
        let address = listener.local_addr().expect("it has an address");
        let task = tokio::spawn(async move {
            // Owns the connections.
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(async move {
                    // Whoever called may have left.
                    let _left = self.answer(stream).await;
                });
            }
        });
        Listening { address, task }
    }

    async fn answer(self, mut stream: TcpStream) -> std::io::Result<()> {
        const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n";
        let mut some = [0; 64];
        let _read = stream.read(&mut some).await?;
        match self {
            Self::Silent => std::future::pending().await,
            Self::Resets => stream.set_zero_linger()?,
            Self::HalfAHead => stream.write_all(&HEAD[..30]).await?,
            Self::HalfAnAnswer => {
                stream.write_all(HEAD).await?;
                stream
                    .write_all(b"content-length: 1000\r\n\r\n{\"out")
                    .await?;
            }
            Self::Dawdles => loop {
                for byte in HEAD {
                    stream.write_all(&[*byte]).await?;
                    sleep(Duration::from_millis(100)).await;
                }
            },
        }
        Ok(())
    }
}

impl Listening {
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.task.abort();
    }
}
