//! What the application does with settings. It knows the trait alone, as before the migration.

use std::sync::Arc;

use super::{
    repository::{RepositoryError, UserSettingsRepository},
    settings::{Changes, Settings},
};

/// The longest theme, in characters. Legacy would take a longer one, New would not: a limit of the
/// new schema is enforced before the migration begins.
const LONGEST_THEME: usize = 50;

/// Answers requests about users.
#[derive(Clone)]
pub(crate) struct UserService {
    settings: Arc<dyn UserSettingsRepository>,
}

/// Why a request was not served.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ServiceError {
    /// The user has no settings.
    #[error("user {0} has no settings")]
    NoSettings(i64),
    /// A theme has a limit.
    #[error("a theme has at most {LONGEST_THEME} characters")]
    ThemeTooLong,
    /// The settings could not be read or written.
    #[error("the settings could not be read or written")]
    Repository(#[from] RepositoryError),
}

impl UserService {
    /// On any implementation of the repository.
    pub(crate) fn new(settings: impl UserSettingsRepository + 'static) -> Self {
        Self { settings: Arc::new(settings) }
    }

    /// The settings of a user.
    pub(crate) async fn get_profile(&self, user: i64) -> Result<Settings, ServiceError> {
        self.settings.get(user).await?.ok_or(ServiceError::NoSettings(user))
    }

    /// Replaces the settings of a user.
    pub(crate) async fn put_profile(
        &self,
        user: i64,
        settings: &Settings,
    ) -> Result<(), ServiceError> {
        check(settings.theme.as_deref())?;
        Ok(self.settings.put(user, settings).await?)
    }

    /// Changes some of a user's settings.
    pub(crate) async fn update_profile(
        &self,
        user: i64,
        changes: &Changes,
    ) -> Result<Settings, ServiceError> {
        check(changes.theme.as_deref())?;
        Ok(self.settings.update(user, changes).await?)
    }

    /// Forgets the settings of a user.
    pub(crate) async fn delete_profile(&self, user: i64) -> Result<(), ServiceError> {
        Ok(self.settings.delete(user).await?)
    }
}

fn check(theme: Option<&str>) -> Result<(), ServiceError> {
    let length = theme.map_or(0, |theme| theme.chars().count());
    if length > LONGEST_THEME { Err(ServiceError::ThemeTooLong) } else { Ok(()) }
}
