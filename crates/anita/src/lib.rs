//! ANITA: the open hub for real-time location.
//!
//! The program is `anita`; this is the same as a library, for applications that embed the hub and add message types of
//! their own:
//!
//! ```no_run
//! use anita::{App, Config};
//! use serde_json::{Value, json};
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let mut app = App::new(Config::load("anita.toml".as_ref())?);
//! app.on("domain.hello", None, "domain.greeting", |caller, _payload: Value| async move {
//!     Ok(json!({ "text": format!("Hello, {}!", caller.principal.subject()) }))
//! })?;
//! let running = app.start().await?;
//! println!("listening on {}", running.address());
//! running.until_signal().await?;
//! # Ok(())
//! # }
//! ```

mod app;
mod desk;
mod intake;
mod signals;
mod store;
mod supervisor;

pub mod config;

pub use anita_auth::{Permission, Principal};
pub use anita_hub::WebSocketManager;
pub use anita_session::{Caller, ExtensionError};
pub use anita_wire::{ErrorCode, Refusal};
pub use app::{App, Running, StartError};
pub use config::{Config, ConfigError};
pub use signals::Signals;
