//! `anita token`.

use std::time::Duration;

use anita::config::Config;
use anita_auth::{Grant, Patterns};
use anita_hub::random_token;
use anita_model::Timestamp;
use clap::Args;

use super::{ConfigFile, Failure, TOKEN_ID_BYTES};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    file: ConfigFile,
    /// Who the token is for.
    #[arg(long, value_name = "NAME")]
    subject: String,
    /// What it may do; several by comma or by repeating. The default roles are viewer, publisher, operator and admin.
    #[arg(long, value_name = "ROLE", required = true, value_delimiter = ',')]
    role: Vec<String>,
    /// How long it is valid: 30s, 15m, 8h or 7d.
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = time)]
    ttl: Duration,
    /// Only devices that match this glob; can be repeated.
    #[arg(long, value_name = "GLOB")]
    devices: Vec<String>,
    /// Only rooms that match this glob; can be repeated.
    #[arg(long, value_name = "GLOB")]
    rooms: Vec<String>,
    /// The token's own id, `jti`, by which it can be revoked; a random one unless it is given.
    #[arg(long, value_name = "ID")]
    id: Option<String>,
}

/// Prints a token, alone on standard output.
pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let config = Config::load(&arguments.file.config)?;
    let minter = config
        .minter
        .ok_or("the configuration has a public key only; tokens are made by whoever has the private one")?;
    if let Some(unknown) = arguments.role.iter().find(|role| !config.roles.has(role)) {
        let known = config.roles.names().collect::<Vec<_>>().join(", ");
        return Err(format!("there is no role {unknown:?}; the roles are {known}").into());
    }
    let patterns = |list: &[String]| -> Result<Option<Vec<String>>, Failure> {
        Patterns::parse(list)?;
        Ok((!list.is_empty()).then(|| list.to_vec()))
    };
    let (devices, rooms) = (patterns(&arguments.devices)?, patterns(&arguments.rooms)?);
    let token_id = arguments.id.clone().unwrap_or_else(|| random_token(TOKEN_ID_BYTES));
    let grant = Grant {
        subject: &arguments.subject,
        roles: &arguments.role,
        devices: devices.as_deref(),
        rooms: rooms.as_deref(),
        token_id: Some(&token_id),
    };
    let token = minter.mint(&grant, Timestamp::now(), arguments.ttl)?;
    println!("{token}");
    Ok(())
}

/// `30s`, `15m`, `8h`, `7d`.
fn time(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is no time; write 30s, 15m, 8h or 7d");
    let unit = text.chars().next_back().ok_or_else(wrong)?;
    let unit_secs = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        _ => return Err(wrong()),
    };
    let count: u64 = text.strip_suffix(unit).unwrap_or_default().parse().map_err(|_not_a_number| wrong())?;
    let secs = count.checked_mul(unit_secs).filter(|secs| (1..=31_536_000_u64).contains(secs));
    secs.map(Duration::from_secs).ok_or_else(|| "a token is valid for 1 second to 365 days".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_a_number_and_a_unit() {
        for (text, secs) in [("30s", 30), ("15m", 900), ("8h", 28_800), ("7d", 604_800)] {
            assert_eq!(time(text), Ok(Duration::from_secs(secs)));
        }
        for text in ["", "h", "8", "8x", "-1h", "0s", "1.5h", "99999d", "8hh"] {
            assert!(time(text).is_err(), "{text}");
        }
    }
}
