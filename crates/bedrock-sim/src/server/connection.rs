//! A connection that can be reset from within.

use std::{
    future::Future,
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use http::{Request, Response};
use hyper::{body::Incoming, service::Service};
use socket2::SockRef;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    sync::Notify,
};

use crate::{SimBody, SimError, SimService};

/// A TCP stream that closes with a reset once it is aborted.
pub(super) struct Connection {
    stream: TcpStream,
    abort: Abort,
}

/// Aborts a connection. Clones abort the same.
#[derive(Clone, Default)]
pub(super) struct Abort(Arc<Aborted>);

#[derive(Default)]
struct Aborted {
    flag: AtomicBool,
    notify: Notify,
}

impl Connection {
    pub(super) fn new(stream: TcpStream) -> Self {
        // A socket that is gone already says so when it is read.
        drop(stream.set_nodelay(true));
        Self {
            stream,
            abort: Abort::default(),
        }
    }

    pub(super) fn abort_handle(&self) -> Abort {
        self.abort.clone()
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if self.abort.0.flag.load(Ordering::Acquire) {
            // Without lingering, a close throws away what is unsent and resets the connection.
            drop(SockRef::from(&self.stream).set_linger(Some(Duration::ZERO)));
        }
    }
}

impl Abort {
    fn abort(&self) {
        self.0.flag.store(true, Ordering::Release);
        self.0.notify.notify_one();
    }

    /// Runs `serving` until it ends or the connection is aborted, and drops it either way.
    pub(super) async fn unless_aborted<T>(self, serving: impl Future<Output = T>) {
        tokio::select! {
            _ = serving => {}
            () = self.0.notify.notified() => {}
        }
    }
}

/// The service of one connection.
pub(super) fn answering(
    service: SimService,
    abort: Abort,
) -> impl Service<
    Request<Incoming>,
    Response = Response<SimBody>,
    Error = SimError,
    Future: Future<Output = Result<Response<SimBody>, SimError>> + Send + 'static,
> {
    hyper::service::service_fn(move |request| {
        let answer = tower_service::Service::call(&mut service.clone(), request);
        let abort = abort.clone();
        async move {
            match answer.await {
                Err(SimError::ConnectionReset) => {
                    abort.abort();
                    // Whatever hyper did with an error would be kinder than a reset.
                    std::future::pending().await
                }
                answered => answered,
            }
        }
    })
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, buffers)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
