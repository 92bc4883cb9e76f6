//! What the library tells while it works.

use std::cell::Cell;
use std::ffi::{c_char, c_void};
use std::fmt::{self, Write};

use tracing::dispatcher::{self, Dispatch};
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

use crate::error::{Failure, c_string};
use crate::floats;

/// Nothing is told.
pub const OCTRT_LOG_OFF: i32 = 0;
/// What goes wrong.
pub const OCTRT_LOG_ERROR: i32 = 1;
/// What is unusual in a model, but was read; and all above.
pub const OCTRT_LOG_WARN: i32 = 2;
/// What was loaded, compiled and chosen; and all above.
pub const OCTRT_LOG_INFO: i32 = 3;
/// Steps of the work; and all above.
pub const OCTRT_LOG_DEBUG: i32 = 4;
/// Everything.
pub const OCTRT_LOG_TRACE: i32 = 5;

/// Gets one line about the work of a call: a level OCTRT_LOG_* and UTF-8 text that is gone when the function returns.
/// Called on the thread that is inside the call, with the floating point state that this thread had when it called, and
/// before the call returns. It may call octrt functions, of which nothing is told, but gets OCTRT_E_BUSY from the session
/// that is at work. It must not throw or jump out.
pub type octrt_log_fn = Option<unsafe extern "C" fn(data: *mut c_void, level: i32, message: *const c_char)>;

/// Where the calls on a model and its sessions tell what they do.
#[derive(Clone, Debug)]
pub(crate) struct Log(Option<Dispatch>);

impl Log {
    /// Tells `log` what is at least as important as `level`.
    pub(crate) fn new(level: i32, log: octrt_log_fn, data: *mut c_void) -> Result<Self, Failure> {
        let max = match level {
            OCTRT_LOG_OFF => LevelFilter::OFF,
            OCTRT_LOG_ERROR => LevelFilter::ERROR,
            OCTRT_LOG_WARN => LevelFilter::WARN,
            OCTRT_LOG_INFO => LevelFilter::INFO,
            OCTRT_LOG_DEBUG => LevelFilter::DEBUG,
            OCTRT_LOG_TRACE => LevelFilter::TRACE,
            other => return Err(Failure::argument(format!("log_level is {other}: expected OCTRT_LOG_*"))),
        };
        let Some(callback) = log.filter(|_| max != LevelFilter::OFF) else { return Ok(Log::off()) };
        Ok(Log(Some(Dispatch::new(Sink { max, callback, data }))))
    }

    pub(crate) fn off() -> Self {
        Log(None)
    }

    /// Calls `body`; what it tells on this thread is heard, unless `body` is called from a callback.
    pub(crate) fn during<R>(&self, body: impl FnOnce() -> R) -> R {
        match &self.0 {
            Some(dispatch) if !IS_TELLING.get() => dispatcher::with_default(dispatch, body),
            _ => body(),
        }
    }
}

thread_local! {
    /// Whether this thread is inside a callback, in which the dispatcher cannot be changed.
    static IS_TELLING: Cell<bool> = const { Cell::new(false) };
}

struct Sink {
    max: LevelFilter,
    callback: unsafe extern "C" fn(*mut c_void, i32, *const c_char),
    data: *mut c_void,
}

// SAFETY: `data` is handed to the callback only; the header says that calls come from every thread that uses the model.
unsafe impl Send for Sink {}
// SAFETY: as above.
unsafe impl Sync for Sink {}

impl Subscriber for Sink {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= self.max
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.max)
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let level = match *event.metadata().level() {
            Level::ERROR => OCTRT_LOG_ERROR,
            Level::WARN => OCTRT_LOG_WARN,
            Level::INFO => OCTRT_LOG_INFO,
            Level::DEBUG => OCTRT_LOG_DEBUG,
            Level::TRACE => OCTRT_LOG_TRACE,
        };
        let mut line = Line::default();
        event.record(&mut line);
        let text = c_string(&format!("{}{}", line.message, line.fields));
        IS_TELLING.set(true);
        // SAFETY: the caller gave callback and data for this use; the text ends with a zero byte.
        floats::call_back(|| unsafe { (self.callback)(self.data, level, text.as_ptr()) });
        IS_TELLING.set(false);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// An event as one line: the message, then `name=value` of the other fields.
#[derive(Default)]
struct Line {
    message: String,
    fields: String,
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing to a string does not fail.
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.fields, " {name}={value:?}"),
        };
    }
}
