//! The peers, and how a run of one is prepared, started and read.

use std::process::Stdio;

use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStdout, Command},
};

use crate::{
    Outcome,
    broker::Broker,
    figures::Figures,
    job::{self, Job},
    ours,
};

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// Publishing with [`job::WINDOW`] in flight.
    Publish,
    /// Consuming with a prefetch of [`job::PREFETCH`].
    Consume,
    /// Calling, one caller.
    Rpc,
}

impl Work {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Publish, Self::Consume, Self::Rpc];

    /// As arguments name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Publish => "publish",
            Self::Consume => "consume",
            Self::Rpc => "rpc",
        }
    }
}

/// Who is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// CelerySalt.
    Ours,
    /// lapin, with Celery's headers; when consuming, one ack for many.
    Raw,
    /// lapin, the same body and no headers; when consuming, one ack for each.
    RawBare,
}

impl Peer {
    /// As arguments name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ours => "celerysalt",
            Self::Raw => "lapin",
            Self::RawBare => "lapin-bare",
        }
    }

    /// As tables name it.
    pub fn title(self, work: Work) -> &'static str {
        match (self, work) {
            (Self::Ours, _) => "celerysalt",
            (Self::Raw, Work::Publish) => "raw lapin, the same message",
            (Self::RawBare, Work::Publish) => "raw lapin, the same body without headers",
            (Self::Raw, Work::Consume) => "raw lapin, grouped acks",
            (Self::RawBare, Work::Consume) => "raw lapin, single acks",
            (Self::Raw | Self::RawBare, Work::Rpc) => "raw lapin, exclusive reply queue",
        }
    }

    /// Those that can do it.
    pub fn of(work: Work) -> Vec<Self> {
        match work {
            Work::Publish | Work::Consume => vec![Self::Ours, Self::Raw, Self::RawBare],
            Work::Rpc => vec![Self::Ours, Self::Raw],
        }
    }

    /// How many are measured in one run, and how many go before.
    fn counts(self, work: Work) -> (usize, usize) {
        match (self, work) {
            (Self::RawBare, Work::Consume) => (20_000, 1_000),
            (_, Work::Publish) => (30_000, 3_000),
            (_, Work::Consume) => (60_000, 5_000),
            (_, Work::Rpc) => (3_000, 300),
        }
    }

    fn command(self, work: &str, job: &Job) -> Outcome<Command> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["peer", self.name(), work]);
        command.envs(job.variables()).stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
        Ok(command)
    }

    /// One run. `number` tells its names apart from others'.
    ///
    /// # Errors
    /// The broker's or the peer's; that messages got lost.
    pub async fn run(self, work: Work, url: &str, number: usize) -> Outcome<Figures> {
        let (count, warm) = self.counts(work);
        let name = format!("celerysalt-bench.{}.{number}", std::process::id());
        let job = Job { url: url.to_owned(), name, count, warm };
        let broker = Broker::connect(url).await?;
        let (figures, queues) = match work {
            Work::Publish => self.published(&job, &broker).await?,
            Work::Consume => self.consumed(&job, &broker).await?,
            Work::Rpc => self.called(&job, &broker).await?,
        };
        broker.delete(&job.name, &queues).await?;
        Ok(figures)
    }

    async fn published(self, job: &Job, broker: &Broker) -> Outcome<(Figures, Vec<String>)> {
        broker.declare(&job.name).await?;
        let figures = Running::start(self.command("publish", job)?)?.figures().await?;
        let (waiting, sent) = (broker.waiting(&job.name).await?, job.count + job.warm);
        if waiting as usize != sent {
            return Err(format!("{} of {sent} events are in the queue of {}", waiting, self.name()).into());
        }
        Ok((figures, vec![job.name.clone()]))
    }

    async fn consumed(self, job: &Job, broker: &Broker) -> Outcome<(Figures, Vec<String>)> {
        let all = job.count + job.warm;
        let salt = ours::salt(job).await?;
        let events = ours::events(all)?;
        let mut queues = Vec::new();
        if self == Self::Ours {
            // Declares its queues.
            ours::service(&salt, drop).await?.shutdown().await;
            queues.extend(["events", "dead"].map(|part| format!("celerysalt.{}.{part}", job.name)));
        } else {
            broker.declare(&job.name).await?;
            queues.push(job.name.clone());
        }
        crate::events::OrderRecorded::publish_batch(&events, &salt).await?;
        salt.close().await;
        let figures = Running::start(self.command("consume", job)?)?.figures().await?;
        let left = broker.waiting(&queues[0]).await?;
        if left > 0 {
            return Err(format!("{left} events are left in the queue of {}", self.name()).into());
        }
        Ok((figures, queues))
    }

    async fn called(self, job: &Job, broker: &Broker) -> Outcome<(Figures, Vec<String>)> {
        let mut queues = Vec::new();
        if self == Self::Ours {
            queues.extend(["rpc", "dead"].map(|part| format!("celerysalt.{}.{part}", job.name)));
        } else {
            broker.declare_requests(&job.name).await?;
            queues.push(job.name.clone());
        }
        let mut server = Running::start(self.command("serve", job)?)?;
        server.ready().await?;
        let figures = Running::start(self.command("call", job)?)?.figures().await?;
        server.child.kill().await?;
        Ok((figures, queues))
    }
}

/// A peer's process, killed when dropped.
struct Running {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Running {
    fn start(mut command: Command) -> Outcome<Self> {
        let mut child = command.spawn()?;
        let out = child.stdout.take().ok_or("no standard output")?;
        Ok(Self { child, lines: BufReader::new(out).lines() })
    }

    async fn ready(&mut self) -> Outcome<()> {
        while let Some(line) = self.lines.next_line().await? {
            if line == "ready" {
                return Ok(());
            }
        }
        Err("a peer ended before it was ready".into())
    }

    async fn figures(mut self) -> Outcome<Figures> {
        let mut figures = None;
        while let Some(line) = self.lines.next_line().await? {
            figures = serde_json::from_str(&line).ok().or(figures);
        }
        let status = self.child.wait().await?;
        figures.filter(|_| status.success()).ok_or_else(|| format!("a peer failed: {status}").into())
    }
}

/// What a peer's process does.
///
/// # Errors
/// What went wrong.
pub async fn work(peer: &str, work: &str) -> Outcome<()> {
    let job = Job::from_env()?;
    let figures = match (peer, work) {
        ("celerysalt", "publish") => ours::publish(&job).await?,
        ("celerysalt", "consume") => ours::consume(&job).await?,
        ("celerysalt", "serve") => return ours::serve(&job).await,
        ("celerysalt", "call") => ours::call(&job).await?,
        ("lapin", "publish") => crate::raw::publish(&job, true).await?,
        ("lapin-bare", "publish") => crate::raw::publish(&job, false).await?,
        ("lapin", "consume") => crate::raw::consume(&job, usize::from(job::PREFETCH) / 10).await?,
        ("lapin-bare", "consume") => crate::raw::consume(&job, 1).await?,
        ("lapin", "serve") => return crate::raw::serve(&job).await,
        ("lapin", "call") => crate::raw::call(&job).await?,
        _ => return Err(format!("`{peer} {work}` is nothing to do").into()),
    };
    figures.print();
    Ok(())
}
