use serde_json::json;

use super::*;

fn paths(paths: &[&str]) -> Vec<ClaimPath> {
    paths.iter().map(|&path| ClaimPath::new(path)).collect()
}

fn rights(names: &ClaimNames, claims: &Value) -> Result<Rights, TokenError> {
    names.rights(claims.as_object().unwrap(), &Roles::default(), None)
}

/// Claims as well-known issuers write them, and what they mean.
#[test]
fn roles_are_found_where_issuers_write_them() {
    let keycloak = json!({
        "realm_access": { "roles": ["offline_access", "viewer"] },
        "resource_access": { "anita": { "roles": ["publisher"] }, "account": { "roles": ["manage-account"] } },
        "scope": "openid profile",
    });
    let auth0 = json!({ "https://example.com/roles": ["operator"], "scope": "openid", "permissions": ["devices.read"] });
    let entra = json!({ "roles": ["Anita.Viewer", "Other.Admin"], "scp": "access" });
    let scoped = json!({ "scope": "openid anita:viewer anita:publisher" });
    let dotted = json!({ "a.b": { "c": ["viewer"] }, "a": { "b": { "c": ["admin"] } } });
    let with_prefix =
        |prefix: &str| ClaimNames { role_prefix: Some(prefix.to_owned()), ..ClaimNames::default() };
    let table = [
        (&keycloak, paths(&["realm_access.roles"]), None, "offline_access viewer"),
        (&keycloak, paths(&["resource_access.anita.roles"]), None, "publisher"),
        (
            &keycloak,
            paths(&["realm_access.roles", "resource_access.anita.roles"]),
            None,
            "offline_access viewer publisher",
        ),
        (&keycloak, paths(&["roles"]), None, ""),
        (&keycloak, paths(&["realm_access.roles.viewer"]), None, ""),
        (&auth0, paths(&["https://example.com/roles"]), None, "operator"),
        (&entra, paths(&["roles"]), Some("Anita."), "Viewer"),
        (&scoped, paths(&["scope"]), Some("anita:"), "viewer publisher"),
        (&scoped, paths(&["scope"]), None, "openid anita:viewer anita:publisher"),
        (&dotted, paths(&["a.b.c"]), None, "admin"),
    ];
    for (claims, roles, prefix, expected) in table {
        let names = prefix.map_or_else(ClaimNames::default, with_prefix);
        let found = rights(&ClaimNames { roles: roles.clone(), ..names }, claims).unwrap();
        assert_eq!(found.roles.join(" "), expected, "{roles:?} {prefix:?}");
    }
    let names =
        ClaimNames { permissions: paths(&["permissions"]), roles: Vec::new(), ..ClaimNames::default() };
    assert_eq!(rights(&names, &auth0).unwrap().permissions, [Permission::DevicesRead].into_iter().collect());
    let names = ClaimNames { permissions: paths(&["permissions"]), ..ClaimNames::default() };
    let starred = json!({ "permissions": ["*", "no.such"], "roles": ["no-such"] });
    assert_eq!(
        rights(&names, &starred).unwrap().permissions,
        Permissions::NONE,
        "unknown words allow nothing"
    );
}

#[test]
fn patterns_are_found_where_issuers_write_them_and_never_overlooked() {
    let names = ClaimNames {
        devices: ClaimPath::new("https://example.com/devices"),
        rooms: ClaimPath::new("anita.rooms"),
        ..ClaimNames::default()
    };
    let found =
        rights(&names, &json!({ "https://example.com/devices": "tag-1 tag-2", "anita": { "rooms": [] } }));
    let found = found.unwrap();
    assert_eq!(found.devices.unwrap(), ["tag-1", "tag-2"]);
    assert_eq!(found.rooms.unwrap(), [""; 0], "an empty list is nothing, not everything");
    // `null` is what an issuer writes for somebody for whom nothing was filled in; it was taken for everything once.
    for wrong in [json!(null), json!(7), json!(true), json!({ "tag": 1 }), json!(["tag", 7])] {
        let found = rights(&names, &json!({ "https://example.com/devices": wrong }));
        assert_eq!(found.unwrap_err(), TokenError::Malformed, "{wrong}");
    }
}
