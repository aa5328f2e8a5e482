//! One consumer, two versions of a topic: each has its type and its handler, and both come to one piece of logic.
//!
//! ```text
//! cargo run --example multi_version
//! ```
//!
//! v2 of `auth.user.signup` broke v1: identifiers became strings, and users have names. Publishers move when they are ready.
//! With `--features amqp,postgres` and `CELERYSALT_BROKER_URL`, the broker is RabbitMQ.

use celerysalt::{HandlerError, Meta, Rest, Salt, State};
use celerysalt_reference::events::{self, auth_user_signup};
use tokio::sync::mpsc;

/// What the service makes of a signup of whichever version.
struct Welcome {
    user: String,
    name: Option<String>,
    email: String,
}

impl From<auth_user_signup::v1::UserSignup> for Welcome {
    fn from(signup: auth_user_signup::v1::UserSignup) -> Self {
        Self { user: signup.user_id.to_string(), name: None, email: signup.email }
    }
}

impl From<auth_user_signup::v2::UserSignup> for Welcome {
    fn from(signup: auth_user_signup::v2::UserSignup) -> Self {
        Self { user: signup.user_id, name: Some(signup.user_name), email: signup.email }
    }
}

/// One handler for all versions: which one it is, its type says.
async fn welcome<S: Into<Welcome>>(
    signup: S,
    meta: Meta,
    State(letters): State<mpsc::UnboundedSender<String>>,
) -> Result<(), HandlerError> {
    let Welcome { user, name, email } = signup.into();
    let version = meta.version.map(|version| version.to_string()).unwrap_or_default();
    letters.send(format!("{version}: dear {} ({user}), to {email}", name.as_deref().unwrap_or("user")))?;
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (telling, mut letters) = mpsc::unbounded_channel::<String>();
    let mail = Salt::connect_env("multi-version-mail").await?;
    let running = mail
        .service()
        .state(telling)
        .on(welcome::<auth_user_signup::v1::UserSignup>)
        .on(welcome::<auth_user_signup::v2::UserSignup>)
        .start()
        .await?;

    let auth = Salt::builder("multi-version-auth").contracts(events::contracts()).connect().await?;
    let old = auth_user_signup::v1::UserSignup {
        user_id: 7.into(),
        email: "pam@example.com".to_owned(),
        signup_source: "web".to_owned(),
        rest: Rest::default(),
    };
    old.publish(&auth).await?;
    println!("{}", letters.recv().await.unwrap_or_default());
    let new = auth_user_signup::v2::UserSignup {
        user_id: "u-8".to_owned(),
        email: "jim@example.com".to_owned(),
        user_name: "Jim".to_owned(),
        signup_source: "app".to_owned(),
        rest: Rest::default(),
    };
    new.publish(&auth).await?;
    println!("{}", letters.recv().await.unwrap_or_default());
    // Each message went to the handler of its version, and to no other.
    println!("{} handled, {} dead-lettered", running.counts().received, running.shutdown().await.counts.dead_lettered);
    Ok(())
}
