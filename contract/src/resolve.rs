//! References to one document. (stub)
