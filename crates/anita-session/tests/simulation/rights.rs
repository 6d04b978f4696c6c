//! What a token allows, as its holder understands it: independent of the code that is tested.

/// What a token allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rights {
    pub(crate) role: &'static str,
    /// Ids, or beginnings of ids followed by `*`; all devices where it is `None`.
    pub(crate) devices: Option<Vec<String>>,
    /// The same for rooms.
    pub(crate) rooms: Option<Vec<String>>,
}

/// Whether a name fits an id or `beginning*`.
fn fits(pattern: &str, name: &str) -> bool {
    pattern.strip_suffix('*').map_or(pattern == name, |beginning| name.starts_with(beginning))
}

pub(crate) fn fits_any(patterns: Option<&Vec<String>>, name: &str) -> bool {
    patterns.is_none_or(|patterns| patterns.iter().any(|pattern| fits(pattern, name)))
}

impl Rights {
    pub(crate) fn of(role: &'static str) -> Self {
        Self { role, devices: None, rooms: None }
    }

    fn is_reader(&self) -> bool {
        matches!(self.role, "viewer" | "operator" | "admin")
    }

    /// Whether a device may be read.
    pub(crate) fn sees(&self, device: &str) -> bool {
        self.is_reader() && fits_any(self.devices.as_ref(), device)
    }

    /// Whether a device is inside the patterns, whatever may be done with it.
    pub(crate) fn names(&self, device: &str) -> bool {
        fits_any(self.devices.as_ref(), device)
    }

    pub(crate) fn joins(&self, room: &str) -> bool {
        self.is_reader() && fits_any(self.rooms.as_ref(), room)
    }

    pub(crate) fn reports(&self) -> bool {
        matches!(self.role, "publisher" | "operator" | "admin")
    }

    pub(crate) fn writes(&self) -> bool {
        matches!(self.role, "operator" | "admin")
    }
}
