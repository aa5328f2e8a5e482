//! Roles with just the rights that each kind of user needs, as SQL for whoever owns the tables.

/// With `PREFIX` and `REGISTRY` where names go.
const ROLES: &str = include_str!("../../../migrations/postgres/roles.sql");

/// Why a name can't stand in SQL for roles.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no plain name: expected a lower-case letter or `_`, then lower-case letters, digits and `_`, \
     50 bytes at most"
)]
pub struct RoleNameError(String);

/// SQL that makes the roles `PREFIX_reader`, `PREFIX_service`, `PREFIX_registrar` and `PREFIX_releaser` and grants them
/// what each needs of the registry's tables in the database schema `schema`. Safe to run again.
///
/// The roles can't log in: grant them to those that can. To be run by the owner of the tables, who may create roles, after
/// the first sync has made the tables.
///
/// ```
/// let sql = celerysalt::registry::postgres::roles_sql("acme", "contracts")?;
/// assert!(sql.contains("'acme_reader'") && sql.contains("ON contracts.celerysalt_schemas"));
/// # Ok::<(), celerysalt::registry::postgres::RoleNameError>(())
/// ```
///
/// # Errors
/// [`RoleNameError`] when one of the names would have to be quoted.
pub fn roles_sql(prefix: &str, schema: &str) -> Result<String, RoleNameError> {
    for name in [prefix, schema] {
        let mut characters = name.chars();
        let first = characters.next().is_some_and(|c| c.is_ascii_lowercase() || c == '_');
        let rest = characters.all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
        if !first || !rest || name.len() > 50 {
            return Err(RoleNameError(name.chars().take(60).collect()));
        }
    }
    Ok(ROLES.replace("REGISTRY", schema).replace("PREFIX", prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_would_need_quotes_are_refused() {
        for name in ["", "a b", "a;drop", "A", "1a", "a\"", &"a".repeat(51)] {
            assert!(roles_sql(name, "public").is_err() && roles_sql("a", name).is_err(), "{name:?}");
        }
        let sql = roles_sql("a", "b").unwrap();
        assert!(!sql.contains("PREFIX") && !sql.contains("REGISTRY"), "{sql}");
    }
}
