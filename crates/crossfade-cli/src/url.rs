//! Which database a command works on.

use std::env;

use crate::config::Config;

/// Variables that name the database, the first one first.
const VARIABLES: [&str; 2] = ["CROSSFADE_DATABASE_URL", "DATABASE_URL"];

/// The option, else the environment, else the configuration.
pub(crate) fn database_url(option: Option<&str>, config: &Config) -> Option<String> {
    pick(option, |variable| env::var(variable).ok(), config)
}

fn pick(
    option: Option<&str>,
    environment: impl Fn(&str) -> Option<String>,
    config: &Config,
) -> Option<String> {
    // A variable that is set to nothing counts as one that is not set.
    let set = |variable: &&str| environment(variable).filter(|url| !url.is_empty());
    let of_environment = || VARIABLES.iter().find_map(set);
    option.map(str::to_owned).or_else(of_environment).or_else(|| config.database_url.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_wins() {
        let config = Config { database_url: Some("config".to_owned()), ..Config::default() };
        let both = |variable: &str| Some(variable.to_owned());
        let second = |variable: &str| (variable == VARIABLES[1]).then(|| "second".to_owned());
        let empty =
            |variable: &str| Some(if variable == VARIABLES[1] { "second" } else { "" }.to_owned());
        let none = |_: &str| None;
        assert_eq!(pick(Some("option"), both, &config).as_deref(), Some("option"));
        assert_eq!(pick(None, both, &config).as_deref(), Some(VARIABLES[0]));
        assert_eq!(pick(None, second, &config).as_deref(), Some("second"));
        assert_eq!(pick(None, empty, &config).as_deref(), Some("second"));
        assert_eq!(pick(None, none, &config).as_deref(), Some("config"));
        assert_eq!(pick(None, none, &Config::default()), None);
    }
}
