//! The server of the simulation: the hub, its store, and who may come in. The one place that knows how they are made.

use std::sync::Arc;
use std::time::Duration;

use anita_auth::{Grant, Key, Minter, Patterns, Permissions, Principal, Roles, Verifier};
use anita_hub::{Durability, Hub, HubSettings, Keeping, RoomLimits};
use anita_metrics::Metrics;
use anita_model::{Identity, Now, Timestamp, UserId};
use anita_session::{Context, Extensions, SessionSettings};
use anita_store::{Store, Told, WriterSettings};
use anita_views::ViewSettings;
use anita_world::{Nearness, Policy};

use crate::disk::{Disk, Mount};
use crate::link::Millis;
use crate::rights::Rights;

const SECRET: &[u8] = b"the secret of the simulation, long enough";

/// The time between two heartbeats: short, so that silence happens in a short run.
pub(crate) const HEARTBEAT: Duration = Duration::from_secs(4);

/// How far the clock of a token may be off, as the documents say.
pub(crate) const LEEWAY: Duration = Duration::from_secs(5);

/// What differs from run to run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) ring: usize,
    pub(crate) nearness_m: Option<f64>,
    pub(crate) tail_fixes_max: usize,
    pub(crate) gather_ms: u64,
}

/// A server that runs.
#[derive(Debug)]
pub(crate) struct House {
    pub(crate) hub: Arc<Hub>,
    pub(crate) context: Arc<Context>,
    pub(crate) mount: Arc<Mount>,
    /// When it began.
    pub(crate) since_ms: Millis,
}

impl House {
    /// Opens it with what the disk remembers. `told` is the file that says how far events were told.
    pub(crate) async fn open(
        plan: Plan,
        disk: &Arc<Disk>,
        told: &std::path::Path,
        wall: Timestamp,
        since_ms: Millis,
    ) -> Self {
        let mount = Mount::new(disk);
        let store = Arc::clone(&mount) as Arc<dyn Store>;
        let told = Told::open(told).unwrap();
        let writer = WriterSettings { retry_after: Duration::from_millis(500), ..WriterSettings::default() };
        let keeping = Keeping::new(store, writer, Some(told), Durability::Commit);
        let nearness = plan.nearness_m.map(|enter_m| Nearness { enter_m, leave_m: enter_m * 1.5 });
        let settings = HubSettings {
            policy: Policy { nearness, ..Policy::default() },
            rooms: RoomLimits {
                ring_messages_max: plan.ring,
                linger: Duration::from_secs(5),
                ..RoomLimits::default()
            },
            views: ViewSettings {
                gather: Duration::from_millis(plan.gather_ms),
                tail_fixes_max: plan.tail_fixes_max,
                ..ViewSettings::default()
            },
            ..HubSettings::default()
        };
        let now = Now { wall, uptime: Duration::ZERO };
        let hub = Hub::open(settings, keeping, Arc::new(Metrics::default()), now).await.unwrap();
        let verifier = Verifier::new(Key::hs256(SECRET).unwrap(), "anita", "anita", Roles::default());
        let context = Context {
            hub: Arc::clone(&hub),
            verifier: Arc::new(verifier),
            settings: SessionSettings { heartbeat_interval: HEARTBEAT, ..SessionSettings::default() },
            extensions: Extensions::default(),
            playbacks: Arc::default(),
        };
        Self { hub, context: Arc::new(context), mount, since_ms }
    }
}

/// A token, and what it says.
#[derive(Debug, Clone)]
pub(crate) struct Minted {
    pub(crate) text: String,
    pub(crate) rights: Rights,
    pub(crate) issued_at: Timestamp,
    pub(crate) expires_at: Timestamp,
}

impl Minted {
    /// When the server takes it to be issued: what can't be true yet is as old as can be.
    pub(crate) fn issued_as_judged(&self, wall: Timestamp) -> Timestamp {
        if self.issued_at > wall.plus(LEEWAY) { Timestamp::UNIX_EPOCH } else { self.issued_at }
    }
}

/// Whole seconds, as tokens say them.
fn whole(moment: Timestamp) -> Timestamp {
    Timestamp::from_micros(moment.as_secs() * 1_000_000).unwrap()
}

pub(crate) fn mint(subject: &str, rights: &Rights, now: Timestamp, ttl: Duration) -> Minted {
    let minter = Minter::hs256(SECRET, "anita", "anita").unwrap();
    let grant = Grant {
        subject,
        roles: &[rights.role.to_owned()],
        devices: rights.devices.as_deref(),
        rooms: rights.rooms.as_deref(),
        token_id: None,
    };
    let text = minter.mint(&grant, now, ttl).unwrap();
    Minted { text, rights: rights.clone(), issued_at: whole(now), expires_at: whole(now.plus(ttl)) }
}

/// Who may see everything.
pub(crate) fn admin() -> Principal {
    Principal {
        identity: Arc::new(Identity {
            user: UserId { issuer: "anita".into(), subject: "simulation".into() },
            token_id: None,
            issued_at: None,
        }),
        roles: vec!["admin".to_owned()],
        permissions: Permissions::all(),
        devices: Patterns::all(),
        rooms: Patterns::all(),
        expires_at: Timestamp::UNIX_EPOCH,
    }
}
