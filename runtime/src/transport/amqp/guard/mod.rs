//! What stands between the broker and lapin, whose parser trusts what it reads: a stream that gives lapin only what it can
//! take. See [`repair`] for what it can't. And the other way, a stream that puts a message's properties in their place: see
//! [`written`].

mod frames;
mod repair;
#[cfg(test)]
mod tests;
mod written;

use std::{
    fmt,
    io::{self, IoSlice, Read, Write},
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use async_rs::{
    Runtime, Tokio,
    traits::{Reactor, RuntimeKit},
    util::{DummyIO, RuntimeParts},
};
use futures_io::{AsyncRead, AsyncWrite};
use futures_util::Stream;
use lapin::AsyncTcpStream;

use self::{frames::Frames, written::Written};

/// How much is taken from lapin at a time.
const WRITE: usize = 256 * 1024;

/// A connection to a broker, plain or encrypted, as lapin gets to see it.
pub(super) struct Guarded {
    stream: AsyncTcpStream<<Tokio as Reactor>::TcpStream>,
    frames: Frames,
    written: Written,
}

impl Guarded {
    pub(super) fn new(stream: AsyncTcpStream<<Tokio as Reactor>::TcpStream>) -> Self {
        Self { stream, frames: Frames::new(), written: Written::default() }
    }

    /// Hands on what was taken from lapin.
    fn poll_written(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.written.ready().is_empty() {
            let count = ready!(Pin::new(&mut self.stream).poll_write(cx, self.written.ready()))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.written.gone(count);
        }
        Poll::Ready(Ok(()))
    }
}

impl fmt::Debug for Guarded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guarded").finish_non_exhaustive()
    }
}

impl AsyncRead for Guarded {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, to: &mut [u8]) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        while this.frames.ready().is_empty() {
            let count = ready!(Pin::new(&mut this.stream).poll_read(cx, this.frames.space()))?;
            if count == 0 {
                return Poll::Ready(Ok(0));
            }
            this.frames.filled(count)?;
        }
        let ready = this.frames.ready();
        let count = ready.len().min(to.len());
        to[..count].copy_from_slice(&ready[..count]);
        this.frames.gone(count);
        Poll::Ready(Ok(count))
    }
}

impl AsyncWrite for Guarded {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    /// What was taken and does not go on at once goes on when lapin flushes: before it writes again, and when it is woken
    /// because the stream can be written to.
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_written(cx))?;
        let mut taken = 0;
        for slice in slices {
            let bytes = slice.get(..slice.len().min(WRITE - taken)).unwrap_or_default();
            self.written.take(bytes);
            taken += bytes.len();
        }
        match self.poll_written(cx) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Ready(Ok(())) | Poll::Pending => Poll::Ready(Ok(taken)),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_written(cx))?;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_written(cx))?;
        Pin::new(&mut self.stream).poll_close(cx)
    }
}

/// The current tokio runtime, with [`Guarded`] as its stream: lapin takes the type of its stream from its runtime.
pub(super) fn runtime() -> Runtime<impl RuntimeKit<TcpStream = Guarded> + Clone + Send + Sync + 'static> {
    let tokio = Tokio::current();
    Runtime::new(RuntimeParts::new(tokio.clone(), GuardedTokio(tokio)))
}

/// tokio's sockets and timers, but for the type of the stream.
#[derive(Clone, Debug)]
struct GuardedTokio(Tokio);

impl Reactor for GuardedTokio {
    type TcpStream = Guarded;
    type Sleep = <Tokio as Reactor>::Sleep;

    /// Neither lapin nor this crate asks for it.
    fn register<H: Read + Write + Send + 'static>(
        &self,
        _: H,
    ) -> io::Result<impl AsyncRead + AsyncWrite + Send + Unpin + 'static> {
        Err::<DummyIO, _>(io::ErrorKind::Unsupported.into())
    }

    fn sleep(&self, pause: Duration) -> Self::Sleep {
        self.0.sleep(pause)
    }

    fn interval(&self, pause: Duration) -> impl Stream<Item = Instant> + Send + 'static {
        self.0.interval(pause)
    }

    fn tcp_connect_addr(
        &self,
        address: SocketAddr,
    ) -> impl Future<Output = io::Result<Self::TcpStream>> + Send + 'static {
        let connecting = self.0.tcp_connect_addr(address);
        async move { Ok(Guarded::new(AsyncTcpStream::Plain(connecting.await?))) }
    }
}
