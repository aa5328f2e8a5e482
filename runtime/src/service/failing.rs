//! Handlers that fail when a test says so.

use std::sync::Arc;

use super::{
    Service,
    extract::{Delivered, Need},
    handler::{Boxed, ErasedHandler, HandlerError, Outcome},
};
use crate::{invalid::Invalid, testing::Record};

struct Failing {
    inner: Arc<dyn ErasedHandler>,
    record: Arc<Record>,
}

/// The service, whose handlers fail when the record says so.
pub(crate) fn wrap_failing(service: Service, record: &Arc<Record>) -> Service {
    service.around(|inner| Arc::new(Failing { inner, record: Arc::clone(record) }))
}

impl ErasedHandler for Failing {
    fn accept(&self, delivered: &Delivered) -> Result<Boxed<Outcome>, Invalid> {
        if self.record.is_to_fail(&delivered.meta.topic) {
            return Ok(Box::pin(async { Err(HandlerError::new("TestApp::fail_handlers")) }));
        }
        self.inner.accept(delivered)
    }

    fn takes_refused(&self) -> bool {
        self.inner.takes_refused()
    }

    fn needs(&self) -> Vec<Need> {
        self.inner.needs()
    }
}
