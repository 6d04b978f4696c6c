//! `[server]`, `[server.tls]`, `[[auth.certificates]]`, and the limits at the door.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anita_auth::{Patterns, Roles};
use anita_forwarded::{Forwarded, Networks};
use anita_server::{
    CertificateField, CertificateRule, ClientAuthority, ClientCertificates, GuestLimits, Plaintext, Proxies,
    ProxyProtocol, ServerSettings,
};

use super::living::{drain, watchdog};
use super::raw::{
    RawCertificate, RawCertificateField, RawClientCertificates, RawConfig, RawForwarded, RawPlaintext,
    RawProxyProtocol,
};
use super::session::fragments;
use super::{ConfigError, secs, send_buffer_bytes, wrong};

/// The shortest and the longest deadline, seconds.
const DEADLINE_SECS: (f64, f64) = (0.1, 3_600.0);

/// The longest that a connection is kept for further requests, seconds.
const KEEP_ALIVE_SECS_MAX: f64 = 86_400.0;

/// Where a certificate comes from, and who signs those of clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// The server's own.
    pub own: OwnCertificate,
    /// Who signs those of clients, where they show any.
    pub clients: Option<ClientAuthority>,
}

/// Where a certificate comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OwnCertificate {
    /// Nowhere: plain text only.
    None,
    /// Files, read again when they change.
    Files {
        /// The chain.
        cert_file: PathBuf,
        /// The key.
        key_file: PathBuf,
    },
    /// Made at the start.
    SelfSigned,
}

pub(super) fn tls(raw: &RawConfig, folder: &Path) -> Result<Tls, ConfigError> {
    let tls = &raw.server.tls;
    let own = match (&tls.cert_file, &tls.key_file, tls.self_signed) {
        (Some(cert_file), Some(key_file), false) => {
            OwnCertificate::Files { cert_file: folder.join(cert_file), key_file: folder.join(key_file) }
        }
        (None, None, true) => OwnCertificate::SelfSigned,
        (None, None, false) => OwnCertificate::None,
        (_, _, true) => {
            return Err(wrong("server.tls", "names files and says self_signed; keep one of the two"));
        }
        (Some(_), None, false) => return Err(wrong("server.tls.key_file", "is missing beside cert_file")),
        (None, Some(_), false) => return Err(wrong("server.tls.cert_file", "is missing beside key_file")),
    };
    let clients = clients(raw, folder)?;
    if clients.is_some() && own == OwnCertificate::None {
        let message = "means nothing without a certificate of the server; name cert_file and key_file";
        return Err(wrong("server.tls.client_certificates", message));
    }
    Ok(Tls { own, clients })
}

fn clients(raw: &RawConfig, folder: &Path) -> Result<Option<ClientAuthority>, ConfigError> {
    let tls = &raw.server.tls;
    let policy = match tls.client_certificates {
        RawClientCertificates::Off if tls.client_ca_file.is_some() || tls.client_crl_file.is_some() => {
            let message =
                "is \"off\" beside a client_ca_file or client_crl_file; write \"optional\" or \"required\"";
            return Err(wrong("server.tls.client_certificates", message));
        }
        RawClientCertificates::Off if !raw.auth.certificates.is_empty() => {
            let message = "means nothing while server.tls.client_certificates is \"off\"";
            return Err(wrong("auth.certificates", message));
        }
        RawClientCertificates::Off => return Ok(None),
        RawClientCertificates::Optional => ClientCertificates::Optional,
        RawClientCertificates::Required => ClientCertificates::Required,
    };
    let Some(ca_file) = &tls.client_ca_file else {
        let message = "is missing: whose certificates are believed is said by those of their authority, PEM";
        return Err(wrong("server.tls.client_ca_file", message));
    };
    let crl_file = tls.client_crl_file.as_ref().map(|file| folder.join(file));
    Ok(Some(ClientAuthority { ca_file: folder.join(ca_file), crl_file, policy }))
}

pub(super) fn server(raw: &RawConfig, roles: &Roles) -> Result<ServerSettings, ConfigError> {
    let proxies = proxies(raw)?;
    let deadline = |key: &str, value: f64| -> Result<Duration, ConfigError> {
        secs(&format!("limits.{key}"), value, DEADLINE_SECS.0, DEADLINE_SECS.1)
    };
    let limits = &raw.limits;
    Ok(ServerSettings {
        plaintext: plaintext(raw, &proxies)?,
        hosts: hosts(raw)?,
        allowed_origins: origins(raw)?,
        proxies,
        metrics_addresses: raw.server.metrics_addresses.clone(),
        guests: guests(raw)?,
        certificate_rules: certificate_rules(raw, roles)?,
        ticket_ttl: secs("auth.ticket_ttl_secs", raw.auth.ticket_ttl_secs, 1.0, 300.0)?,
        fragments_max: fragments(raw)?,
        body_bytes_max: limits.body_bytes_max,
        plan_bytes_max: plan_bytes_max(limits.plan_bytes_max)?,
        uses_ring: raw.delivery.io_uring,
        compression: raw.delivery.compression,
        queued_bytes_max: raw.delivery.queued_bytes_max,
        send_buffer_bytes: send_buffer_bytes(raw)?,
        tls_deadline: deadline("tls_deadline_secs", limits.tls_deadline_secs)?,
        header_deadline: deadline("header_deadline_secs", limits.header_deadline_secs)?,
        keep_alive: secs(
            "limits.keep_alive_secs",
            limits.keep_alive_secs,
            DEADLINE_SECS.0,
            KEEP_ALIVE_SECS_MAX,
        )?,
        request_deadline: deadline("request_deadline_secs", limits.request_deadline_secs)?,
        message_deadline: deadline("message_deadline_secs", limits.message_deadline_secs)?,
        write_deadline: deadline("write_deadline_secs", limits.write_deadline_secs)?,
        drain: drain(raw)?,
        watchdog: watchdog(raw)?,
        memory_bytes_max: limits.memory_bytes_max,
        ..ServerSettings::default()
    })
}

/// A store takes no value without end, and a page has to show it.
fn plan_bytes_max(bytes: usize) -> Result<usize, ConfigError> {
    const LEAST: usize = 1_024;
    const MOST: usize = 64 * 1_024 * 1_024;
    if (LEAST..=MOST).contains(&bytes) {
        return Ok(bytes);
    }
    Err(wrong("limits.plan_bytes_max", format!("has to be {LEAST} to {MOST}")))
}

fn plaintext(raw: &RawConfig, proxies: &Proxies) -> Result<Plaintext, ConfigError> {
    match raw.server.plaintext {
        RawPlaintext::Never => Ok(Plaintext::Never),
        RawPlaintext::Loopback => Ok(Plaintext::Loopback),
        RawPlaintext::TrustedProxy if proxies.trusted.is_empty() => Err(wrong(
            "server.trusted_proxies",
            "has to name the proxy's address when plaintext = \"trusted_proxy\"",
        )),
        RawPlaintext::TrustedProxy => Ok(Plaintext::TrustedProxy),
    }
}

fn proxies(raw: &RawConfig) -> Result<Proxies, ConfigError> {
    let trusted = Networks::parse(&raw.server.trusted_proxies)
        .map_err(|error| wrong("server.trusted_proxies", error.to_string()))?;
    let protocol = match raw.server.proxy_protocol {
        RawProxyProtocol::Off => ProxyProtocol::Off,
        RawProxyProtocol::Required if trusted.is_empty() => {
            let message = "has to name the proxy's address when proxy_protocol = \"required\"";
            return Err(wrong("server.trusted_proxies", message));
        }
        RawProxyProtocol::Required => ProxyProtocol::Required,
    };
    let forwarded = match raw.server.forwarded {
        RawForwarded::None => Forwarded::None,
        RawForwarded::XForwardedFor => Forwarded::XForwardedFor,
        RawForwarded::Forwarded => Forwarded::Forwarded,
    };
    Ok(Proxies { trusted, forwarded, protocol })
}

fn hosts(raw: &RawConfig) -> Result<Vec<String>, ConfigError> {
    for host in &raw.server.hosts {
        if host.is_empty() || host.contains(['/', '*', '@', ' ']) {
            let message = format!("{host:?} is no host; write it as browsers do: host, or host:port");
            return Err(wrong("server.hosts", message));
        }
    }
    Ok(raw.server.hosts.clone())
}

fn origins(raw: &RawConfig) -> Result<Vec<String>, ConfigError> {
    for origin in &raw.server.allowed_origins {
        let small = origin.to_ascii_lowercase();
        let rest = small.strip_prefix("https://").or_else(|| small.strip_prefix("http://"));
        if !rest.is_some_and(|host| !host.is_empty() && !host.contains(['/', '*', '?', '#'])) {
            return Err(wrong(
                "server.allowed_origins",
                format!("{origin:?} is no origin; write https://host or https://host:port, without a path"),
            ));
        }
        let sent = as_sent(origin);
        if sent != *origin {
            let message = format!("{origin:?} is no origin that a browser sends; write {sent:?}");
            return Err(wrong("server.allowed_origins", message));
        }
        if !origin.is_ascii() {
            let message = format!("{origin:?} is no origin that a browser sends; write the host as xn--…");
            return Err(wrong("server.allowed_origins", message));
        }
    }
    Ok(raw.server.allowed_origins.clone())
}

/// An origin as browsers write it: in small letters, and without the port that the scheme has anyway (RFC 6454 §6.2).
fn as_sent(origin: &str) -> String {
    let small = origin.to_ascii_lowercase();
    let port = if small.starts_with("https:") { ":443" } else { ":80" };
    small.strip_suffix(port).map_or_else(|| small.clone(), str::to_owned)
}

fn guests(raw: &RawConfig) -> Result<GuestLimits, ConfigError> {
    let limits = &raw.limits;
    if limits.connections_max < limits.sockets_max {
        let message = format!(
            "is less than sockets_max, {}: each WebSocket is a connection, and REST needs some too",
            limits.sockets_max
        );
        return Err(wrong("limits.connections_max", message));
    }
    Ok(GuestLimits {
        sockets_max: limits.sockets_max,
        sockets_per_address_max: limits.sockets_per_address_max,
        sockets_per_user_max: limits.sockets_per_user_max,
        connections_max: limits.connections_max,
        connections_per_address_max: limits.connections_per_address_max,
        unauthenticated_max: limits.unauthenticated_max,
        unauthenticated_per_address_max: limits.unauthenticated_per_address_max,
        handshakes_per_second: limits.handshakes_per_second,
        handshakes_per_second_per_address: limits.handshakes_per_second_per_address,
        tls_handshakes_per_second_per_address: limits.tls_handshakes_per_second_per_address,
    })
}

fn certificate_rules(raw: &RawConfig, roles: &Roles) -> Result<Vec<CertificateRule>, ConfigError> {
    raw.auth.certificates.iter().enumerate().map(|(index, it)| certificate_rule(index, it, roles)).collect()
}

fn certificate_rule(
    index: usize,
    rule: &RawCertificate,
    roles: &Roles,
) -> Result<CertificateRule, ConfigError> {
    let key = |name: &str| format!("auth.certificates[{index}].{name}");
    let globs = |name: &str, texts: &[String]| {
        Patterns::parse(texts).map_err(|error| wrong(&key(name), error.to_string()))
    };
    if rule.subject.is_empty() {
        return Err(wrong(&key("subject"), "is missing: a glob of the names that the rule is about"));
    }
    if let Some(unknown) = rule.roles.iter().find(|role| !roles.has(role)) {
        let known: Vec<&str> = roles.names().collect();
        let message = format!("there is no role {unknown:?}; known here: {}", known.join(", "));
        return Err(wrong(&key("roles"), message));
    }
    let seen = |name: &str, texts: &Option<Vec<String>>| match texts {
        Some(texts) => globs(name, texts),
        None => Ok(Patterns::all()),
    };
    Ok(CertificateRule {
        field: match rule.field {
            RawCertificateField::CommonName => CertificateField::CommonName,
            RawCertificateField::Dns => CertificateField::Dns,
            RawCertificateField::Uri => CertificateField::Uri,
        },
        names: globs("subject", std::slice::from_ref(&rule.subject))?,
        roles: rule.roles.clone(),
        permissions: roles.permissions_of(rule.roles.iter().map(String::as_str)),
        devices: seen("devices", &rule.devices)?,
        rooms: seen("rooms", &rule.rooms)?,
    })
}
