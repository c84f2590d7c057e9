//! What a user sets: the values that the migration moves.

use serde::{Deserialize, Serialize};

/// The settings of one user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Settings {
    /// Name of a colour theme; `None` follows the user's system.
    #[serde(default)]
    pub(crate) theme: Option<String>,
    /// Whether the user wants to be notified.
    #[serde(default = "notified")]
    pub(crate) notifications_enabled: bool,
}

/// A partial update: what is left out stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Changes {
    /// Another theme.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) theme: Option<String>,
    /// Another answer to notifications.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) notifications_enabled: Option<bool>,
}

impl Default for Settings {
    fn default() -> Self {
        Self { theme: None, notifications_enabled: notified() }
    }
}

impl Changes {
    /// The settings after the update. A user without settings starts from the defaults.
    pub(crate) fn apply(&self, before: Option<Settings>) -> Settings {
        let before = before.unwrap_or_default();
        Settings {
            theme: self.theme.clone().or(before.theme),
            notifications_enabled: self
                .notifications_enabled
                .unwrap_or(before.notifications_enabled),
        }
    }
}

const fn notified() -> bool {
    true
}
