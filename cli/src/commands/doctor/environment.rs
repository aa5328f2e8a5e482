//! The variables that a service would read here.

use std::env;

use celerysalt::{BROKER_URL_VARIABLE, REGISTRY_URL_VARIABLE, RESULT_BACKEND_URL_VARIABLE};

use super::Finding;

/// What celery-salt reads, and we do not.
const OF_PYTHON: [&str; 2] = ["CELERY_SALT_BROKER_URL", "BROKER_URL"];

pub(super) fn look() -> Vec<Finding> {
    let is_set = |name: &str| env::var_os(name).is_some_and(|value| !value.is_empty());
    let variable = |name: &'static str, unset: &str| match env::var(name) {
        Ok(value) if value.is_empty() => Finding::note("environment", name, format!("it is set, and empty: {unset}")),
        // Not the value: it may hold a password.
        Ok(_) => Finding::ok("environment", name, "it is set"),
        Err(env::VarError::NotPresent) => Finding::note("environment", name, format!("it is not set: {unset}")),
        Err(env::VarError::NotUnicode(_)) => {
            Finding::wrong("environment", name, "it is no UTF-8 text, and no service starts with it", "set it again")
        }
    };
    let mut broker = variable(
        BROKER_URL_VARIABLE,
        "a service that is started here, and is given no URL, keeps its events within its process",
    );
    let python = OF_PYTHON.iter().find(|name| is_set(name));
    if let Some(python) = python.filter(|_| !is_set(BROKER_URL_VARIABLE)) {
        broker = broker.with_mend(format!("{python} is set, which only Python reads: set {BROKER_URL_VARIABLE} too"));
    }
    vec![
        broker,
        variable(REGISTRY_URL_VARIABLE, "a service that is started here registers its contracts nowhere"),
        variable(RESULT_BACKEND_URL_VARIABLE, "answers come by reply queues alone, which is all that most need"),
    ]
}
