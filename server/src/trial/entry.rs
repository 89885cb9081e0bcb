//! Who gets in, and who does not.

use serde_json::json;

use super::{PASSWORD, World};

#[test]
fn a_setup_link_makes_one_administrator_and_no_second() {
    let world = World::start();
    let token = world.setup.clone().unwrap();
    let body = |token: &str, user: &str, password: &str| json!({"token": token, "user": user, "password": password});
    assert_eq!(world.post("/api/v1/setup", &body("0", "ada", PASSWORD)).code(), "setup_link_invalid");
    assert_eq!(world.post("/api/v1/setup", &body(&token, "ada", "short")).code(), "credentials_refused");
    assert_eq!(world.post("/api/v1/setup", &body(&token, "<b>", PASSWORD)).code(), "credentials_refused");
    assert_eq!(world.get(&format!("/setup/{token}"), &[]).status, 200);
    assert_eq!(world.post("/api/v1/setup", &body(&token, "ada", PASSWORD)).status, 201);
    assert_eq!(world.post("/api/v1/setup", &body(&token, "eve", PASSWORD)).code(), "setup_link_invalid");
    assert_eq!(world.get(&format!("/setup/{token}"), &[]).status, 403);
    let world = world.restart();
    assert_eq!(world.setup, None);
}

#[test]
fn each_start_without_an_administrator_makes_a_new_link_and_ends_the_old_one() {
    let world = World::start();
    let old = world.setup.clone().unwrap();
    let world = world.restart();
    let new = world.setup.clone().unwrap();
    assert_ne!(old, new);
    assert_eq!(world.get(&format!("/setup/{old}"), &[]).status, 403);
    assert_eq!(world.get(&format!("/setup/{new}"), &[]).status, 200);
}

#[test]
fn row_13_no_default_credential_opens_anything() {
    let world = World::start();
    for (user, password) in
        [("admin", "admin"), ("root", "root"), ("admin", "password"), ("", ""), ("tenure", "tenure")]
    {
        let answer = world.post("/api/v1/tokens", &json!({"user": user, "password": password}));
        assert_eq!((answer.status, &*answer.code()), (401, "unauthorised"), "{user}");
    }
    for path in ["/api/v1/devices", "/api/v1/reports"] {
        for authorization in ["", "Bearer ", "Bearer 0", "Basic YWRtaW46YWRtaW4="] {
            assert_eq!(world.get(path, &[("authorization", authorization)]).status, 401, "{path} {authorization}");
        }
    }
    assert_eq!(world.get("/devices", &[]).header("location"), "/login");
}

#[test]
fn row_13_guessing_passwords_is_slowed_down() {
    let world = World::with_operator();
    let guess = |password: &str| world.post("/api/v1/tokens", &json!({"user": "ada", "password": password}));
    for _ in 0..5 {
        assert_eq!(guess("wrong password").code(), "unauthorised");
    }
    let refused = guess(PASSWORD);
    assert_eq!((refused.status, &*refused.code()), (429, "too_many_attempts"));
    assert!(refused.header("retry-after").parse::<u64>().unwrap() >= 1);
}

#[test]
fn a_session_begins_with_the_password_and_ends_with_the_button() {
    let world = World::with_operator();
    let form = [("content-type", "application/x-www-form-urlencoded"), ("authorization", "none")];
    let login = |password: &str, more: &[(&str, &str)]| {
        let headers: Vec<_> = form.iter().chain(more).copied().collect();
        world.send("POST", "/login", &headers, format!("user=ada&password={password}").as_bytes())
    };
    let wrong = login("wrong", &[]);
    assert_eq!(wrong.status, 401);
    assert!(wrong.text().contains("name or password is wrong") && !wrong.headers.contains_key("set-cookie"));
    let password = PASSWORD.replace(' ', "+");
    assert_eq!(login(&password, &[("sec-fetch-site", "cross-site")]).code(), "foreign_form");
    let right = login(&password, &[]);
    assert_eq!((right.status, right.header("location")), (303, "/devices"));
    let cookie = right.header("set-cookie");
    for part in ["HttpOnly", "SameSite=Strict", "Path=/"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    let cookie = cookie.split_once(';').unwrap().0;
    let page = world.get("/devices", &[("cookie", cookie)]);
    assert_eq!((page.status, page.header("cache-control")), (200, "no-store"));
    let csrf = page.text().split_once("name=\"csrf\" value=\"").unwrap().1.split_once('"').unwrap().0;
    let logout = |csrf: &str| {
        world.send("POST", "/logout", &[form[0], form[1], ("cookie", cookie)], format!("csrf={csrf}").as_bytes())
    };
    assert_eq!(logout("0").code(), "foreign_form");
    assert_eq!(logout(csrf).header("location"), "/login");
    assert_eq!(world.get("/devices", &[("cookie", cookie)]).header("location"), "/login");
}

#[test]
fn no_secret_lies_in_the_data_folder_as_it_is() {
    let world = World::with_operator();
    let answer = world.post("/api/v1/enrolment-tokens", &json!({}));
    let secrets = [
        PASSWORD.to_string(),
        world.token.clone().unwrap(),
        world.setup.clone().unwrap(),
        answer.json()["token"].as_str().unwrap().to_string(),
    ];
    for name in ["tenure.db", "tenure.db-wal"] {
        let bytes = std::fs::read(world.data.join(name)).unwrap_or_default();
        for secret in &secrets {
            assert!(!bytes.windows(secret.len()).any(|window| window == secret.as_bytes()), "{name}");
        }
    }
}

#[test]
fn a_second_server_over_the_same_folder_is_refused() {
    let world = World::start();
    let stated = crate::config::Stated { data: Some(world.data.clone()), ..crate::config::Stated::default() };
    let config = crate::config::Config::load(None, stated).unwrap();
    let error = tokio::runtime::Runtime::new().unwrap().block_on(crate::app::App::open(config)).unwrap_err();
    assert!(error.to_string().ends_with("is in use by another tenure-server"), "{error}");
}
