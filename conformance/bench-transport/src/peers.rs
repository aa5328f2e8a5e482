//! The peers, and how a run of one is prepared, started and read.

use std::process::Stdio;

use serde::de::DeserializeOwned;
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStdout, Command},
};

use crate::{
    Outcome,
    broker::Broker,
    figures::Figures,
    job::{self, Job},
    memory::{self, Load, Memory},
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
    /// lapin, the same body and no headers; when consuming, one ack for each; when calling, all confirmed.
    RawBare,
    /// RustStream on lapin: JSON and serde, no contract. Built by `ruststream/`.
    RustStream,
    /// Python's celery-salt.
    CelerySalt,
    /// Python's FastStream: JSON and pydantic.
    FastStream,
}

impl Peer {
    /// As arguments name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ours => "celerysalt",
            Self::Raw => "lapin",
            Self::RawBare => "lapin-bare",
            Self::RustStream => "ruststream",
            Self::CelerySalt => "celery-salt",
            Self::FastStream => "faststream",
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
            (Self::Raw, Work::Rpc) => "raw lapin, exclusive reply queue",
            (Self::RawBare, Work::Rpc) => "raw lapin, the same, request and answer confirmed",
            (Self::RustStream, Work::Rpc) => "ruststream-lapin 0.7.2, direct reply-to",
            (Self::RustStream, _) => "ruststream-lapin 0.7.2",
            (Self::CelerySalt, Work::Publish) => "celery-salt 1.6.0, which sends one at a time",
            (Self::CelerySalt, _) => "celery-salt 1.6.0",
            (Self::FastStream, _) => "FastStream 0.7.8",
        }
    }

    /// Those that can do it.
    pub fn of(work: Work) -> Vec<Self> {
        // FastStream's `request` got no answer in this set-up.
        let python: &[Self] =
            if work == Work::Rpc { &[Self::CelerySalt] } else { &[Self::CelerySalt, Self::FastStream] };
        [&[Self::Ours, Self::Raw, Self::RawBare, Self::RustStream], python].concat()
    }

    /// How many are measured in one run, and how many go before.
    fn counts(self, work: Work) -> (usize, usize) {
        match (self, work) {
            (Self::RawBare | Self::RustStream, Work::Consume) => (20_000, 1_000),
            (Self::CelerySalt, Work::Publish | Work::Consume) => (600, 50),
            (Self::CelerySalt, Work::Rpc) => (150, 20),
            (Self::FastStream, _) => (4_000, 400),
            (_, Work::Publish) => (30_000, 3_000),
            (_, Work::Consume) => (60_000, 5_000),
            (_, Work::Rpc) => (3_000, 300),
        }
    }

    fn command(self, work: &str, job: &Job) -> Outcome<Command> {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
        let target = root.join("../../target");
        let script =
            |name: &str| (target.join("bench-venv/bin/python"), vec![root.join("python").join(name), work.into()]);
        let (program, arguments) = match self {
            Self::Ours | Self::Raw | Self::RawBare => {
                (std::env::current_exe()?, vec!["peer".into(), self.name().into(), work.into()])
            }
            Self::RustStream => (target.join("ruststream/release").join(work), vec!["run".into()]),
            Self::CelerySalt => script("celery_salt_peer.py"),
            Self::FastStream => script("faststream_peer.py"),
        };
        // Such as `valgrind --tool=callgrind`.
        let under = std::env::var("BENCH_UNDER").unwrap_or_default();
        let mut words = under.split_whitespace();
        let mut command = match words.next() {
            Some(first) => {
                let mut command = Command::new(first);
                command.args(words).arg(program);
                command
            }
            None => Command::new(program),
        };
        command.args(arguments);
        command.env("PYTHONDONTWRITEBYTECODE", "1");
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
        let mut running = None;
        let queue = match self {
            Self::Ours => {
                // Declares its queues.
                ours::service(&salt, drop).await?.shutdown().await;
                format!("celerysalt.{}.events", job.name)
            }
            // Its worker declares its queue, so it is there before the events.
            Self::CelerySalt => {
                let mut worker = Running::start(self.command("consume", job)?)?;
                worker.ready().await?;
                running = Some(worker);
                format!("{}.celery", job.name)
            }
            _ => {
                broker.declare(&job.name).await?;
                job.name.clone()
            }
        };
        if matches!(self, Self::RustStream | Self::FastStream) {
            broker.fill_plain(&job.name, all).await?;
        } else {
            crate::events::OrderRecorded::publish_batch(&ours::events(all)?, &salt).await?;
        }
        salt.close().await;
        let running = match running {
            Some(running) => running,
            None => Running::start(self.command("consume", job)?)?,
        };
        let figures = running.figures().await?;
        let left = broker.waiting(&queue).await?;
        // Celery's worker has no end that waits for its acks.
        if left > 0 && self != Self::CelerySalt {
            return Err(format!("{left} events are left in the queue of {}", self.name()).into());
        }
        let dead = (self == Self::Ours).then(|| format!("celerysalt.{}.dead", job.name));
        Ok((figures, [queue].into_iter().chain(dead).collect()))
    }

    async fn called(self, job: &Job, broker: &Broker) -> Outcome<(Figures, Vec<String>)> {
        let queues = match self {
            Self::Ours => ["rpc", "dead"].map(|part| format!("celerysalt.{}.{part}", job.name)).into(),
            Self::CelerySalt => vec![format!("{}.celery", job.name)],
            _ => {
                broker.declare_requests(&job.name).await?;
                vec![job.name.clone()]
            }
        };
        let mut server = Running::start(self.command("serve", job)?)?;
        server.ready().await?;
        let figures = Running::start(self.command("call", job)?)?.figures().await?;
        server.child.kill().await?;
        Ok((figures, queues))
    }
}

/// Runs a consumer in a process of its own while large events are published to it; what it took.
///
/// # Errors
/// The broker's, or that not all events came.
pub async fn remembered(job: &Job, load: Load) -> Outcome<Memory> {
    let mut consumer = Running::start(Peer::Ours.command("memory", job)?)?;
    consumer.ready().await?;
    let sent = memory::publish(&job.url, &job.name, load).await?;
    let took: Memory = consumer.said().await?;
    if took.handled < sent { Err(format!("{} of {sent} events were handled", took.handled).into()) } else { Ok(took) }
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

    async fn figures(self) -> Outcome<Figures> {
        self.said().await
    }

    async fn said<T: DeserializeOwned>(mut self) -> Outcome<T> {
        let mut said = None;
        while let Some(line) = self.lines.next_line().await? {
            said = serde_json::from_str(&line).ok().or(said);
        }
        let status = self.child.wait().await?;
        said.filter(|_| status.success()).ok_or_else(|| format!("a peer failed: {status}").into())
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
        ("celerysalt", "memory") => {
            println!("{}", serde_json::to_string(&memory::consume(&job).await?)?);
            return Ok(());
        }
        ("celerysalt", "serve") => return ours::serve(&job).await,
        ("celerysalt", "call") => ours::call(&job).await?,
        ("lapin", "publish") => crate::raw::publish(&job, true).await?,
        ("lapin-bare", "publish") => crate::raw::publish(&job, false).await?,
        ("lapin", "consume") => crate::raw::consume(&job, usize::from(job::PREFETCH) / 10).await?,
        ("lapin-bare", "consume") => crate::raw::consume(&job, 1).await?,
        ("lapin", "serve") => return crate::raw::serve(&job, false).await,
        ("lapin-bare", "serve") => return crate::raw::serve(&job, true).await,
        ("lapin", "call") => crate::raw::call(&job, false).await?,
        ("lapin-bare", "call") => crate::raw::call(&job, true).await?,
        _ => return Err(format!("`{peer} {work}` is nothing to do").into()),
    };
    figures.print();
    Ok(())
}
