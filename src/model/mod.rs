//! Words everyone shares: pure values without I/O, clock or terminal.

mod amount;
mod cancel_reason;
mod diagnostic;
mod duration;
mod exit_status;
mod host;
mod limits;
mod nearest;
mod outcome;
mod run_id;
mod secret;
pub mod selector;
mod size;
mod span;
mod ssh_settings;
mod stream;
mod tags;
pub mod words;
mod zone;

pub use amount::{Amount, AmountError};
pub use cancel_reason::CancelReason;
pub use diagnostic::Diagnostic;
pub use duration::{DurationError, format_duration, parse_duration};
pub use exit_status::ExitStatus;
pub use host::{CONTROLLER, FILE_NAME_LENGTH, Host, HostId, Label, file_name_within, label_hosts};
pub use limits::Limits;
pub use nearest::nearest;
pub use outcome::{HostOutcome, UnreachableKind};
pub use run_id::RunId;
pub use secret::Secret;
pub use size::{Size, SizeError};
pub use span::{Source, SourceSpan};
pub use ssh_settings::{HostKeys, Kex, SshSettings};
pub use stream::Stream;
pub use tags::Tags;
pub use zone::Zone;
