//! Records of investigations and compliance failures: four fields, for ever as they were added.

use serde_json::{Value, json};
use sqlx::{ConnectOptions as _, Connection as _};
use tenure_server::disk::{PUBLIC, replace};

use crate::office::Office;

const FAILED: &str = "record add --model acme-gw1 --outcome The&password&was&not&unique --failure Schedule&1,&1 \
                      --steps Release&1.0.1&asks&for&one --successful yes";

#[test]
fn row_10_compliance_failures_are_recorded_with_four_fields_and_never_changed() {
    let office = Office::open("2026-12-01");
    let data = tempfile::tempdir().unwrap();
    let server = office.serve(data.path());
    office.ok(FAILED);
    office.ok("record add --outcome Nothing&failed");
    let half = office.refused("record add --outcome x --failure y");
    assert!(half.contains("needs --failure, --steps and --successful"), "{half}");
    let bearer = office.bearer();
    let post = |body: &Value| server.ask("POST", "/api/v1/records", Some(&bearer), body.to_string().as_bytes()).0;
    for bad in [
        json!({"outcome": " "}),
        json!({"outcome": "x", "failure": {"details": "d", "steps": "s"}}),
        json!({"outcome": "x", "failure": {"details": "d", "steps": "", "successful": true}}),
        json!({"outcome": "x", "number": 1}),
    ] {
        assert_eq!(post(&bad), 400, "{bad}");
    }
    assert_eq!(server.ask("POST", "/api/v1/records", None, b"{}").0, 401);
    // There is no way to change or delete one.
    for (method, path) in [("DELETE", ""), ("PUT", ""), ("PATCH", ""), ("DELETE", "/1"), ("PUT", "/1")] {
        let (status, _, _) = server.ask(method, &format!("/api/v1/records{path}"), Some(&bearer), b"{}");
        assert!(matches!(status, 404 | 405), "{method} {path}: {status}");
    }
    let file = office.path("records.json");
    let said = office.json(&format!("record export --out {}", file.display()));
    assert_eq!(said["entries"], json!(2));
    let mut export: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    let finding = json!({
        "model": "acme-gw1", "outcome": "The password was not unique",
        "failure": {"details": "Schedule 1, 1", "steps": "Release 1.0.1 asks for one", "successful": true},
    });
    assert_eq!(export["entries"][0]["finding"], finding);
    assert_eq!(export["entries"][0]["by"], "ada");
    // It validates, however it is written; what is edited, cut or shortened does not.
    let verify = |export: &Value, more: &str| {
        replace(&file, export.to_string().as_bytes(), PUBLIC).unwrap();
        office.run(format!("record verify {} {more}", file.display()).trim_end())
    };
    let head = format!("--head {}", said["head"].as_str().unwrap());
    assert_eq!(verify(&export, &head).0, 0);
    let mut edited = export.clone();
    edited["entries"][0]["finding"]["failure"]["successful"] = json!(false);
    assert!(verify(&edited, "").2.contains("entry 2 does not follow"));
    let mut without = export.clone();
    without["entries"][0]["finding"]["failure"].as_object_mut().unwrap().remove("steps");
    assert_eq!(verify(&without, "").0, 1);
    drop(export["entries"].as_array_mut().unwrap().pop());
    assert_eq!(verify(&export, "").0, 0);
    assert_eq!(verify(&export, &head).0, 1, "the last one is missing");
}

#[tokio::test]
async fn row_10_records_that_somebody_changes_in_the_database_are_found_out() {
    let office = Office::open("2026-12-01");
    let data = tempfile::tempdir().unwrap();
    let server = office.serve(data.path());
    (0..3).for_each(|_| drop(office.ok(FAILED)));
    drop(server);
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(data.path().join("tenure.db")).foreign_keys(true);
    let mut database = options.connect().await.unwrap();
    // The database itself keeps every entry, the last one too.
    for number in 1..=3 {
        for sql in ["DELETE FROM records WHERE number = $1", "UPDATE records SET sha256 = 'x' WHERE number = $1"] {
            let error = sqlx::query(sql).bind(number).execute(&mut database).await.unwrap_err();
            assert!(error.to_string().contains("FOREIGN KEY"), "{error}");
        }
    }
    // Who rewrites a text shows in the digests.
    let sql = "UPDATE records SET body = REPLACE(body, 'not unique', 'unique') WHERE number = 2";
    assert_eq!(sqlx::query(sql).execute(&mut database).await.unwrap().rows_affected(), 1);
    let server = office.serve(data.path());
    assert!(office.refused("record list").contains("entry 3 does not follow"));
    drop(server);
    let back = sql.replace("'not unique', 'unique'", "'unique', 'not unique'");
    sqlx::query(sqlx::AssertSqlSafe(back)).execute(&mut database).await.unwrap();
    let server = office.serve(data.path());
    office.ok("record list");
    drop(server);
    // Who takes out the last one by force shows to who saw it.
    for sql in ["PRAGMA foreign_keys = OFF", "DELETE FROM records_head", "DELETE FROM records WHERE number = 3"] {
        sqlx::query(sql).execute(&mut database).await.unwrap();
    }
    database.close().await.unwrap();
    let _server = office.serve(data.path());
    assert!(office.refused("record list").contains("entry 3 was seen before, and is gone or was changed"));
}
