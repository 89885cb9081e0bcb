//! The ways in: setup and login, as pages and as API.

use askama::Template;
use axum::Json;
use axum::body::Body;
use axum::extract::rejection::FormRejection;
use axum::extract::{Extension, Form, Path, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Redirect, Response};
use serde::Deserialize;
use serde_json::{Value, json};
use tenure_proto::limits;

use super::{STYLE, page};
use crate::app::{App, Handle};
use crate::auth::{self, Credentials, Operator, Peer, Session};
use crate::body::{self, invalid};
use crate::error::ApiError;

/// A name and a password, by form or by API.
#[derive(Deserialize)]
pub(crate) struct Login {
    user: String,
    password: String,
}

/// The setup form.
#[derive(Deserialize)]
pub(crate) struct SetUp {
    user: String,
    password: String,
    again: String,
}

/// The setup by API.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SetUpByApi {
    token: String,
    user: String,
    password: String,
}

/// The logout button.
#[derive(Deserialize)]
pub(crate) struct Logout {
    csrf: String,
}

#[derive(Template)]
#[template(path = "login.html")]
struct LoginPage<'a> {
    style: &'static str,
    user: &'a str,
    problem: Option<&'a str>,
}

#[derive(Template)]
#[template(path = "setup.html")]
struct SetUpPage<'a> {
    style: &'static str,
    token: &'a str,
    user: &'a str,
    problem: Option<&'a str>,
}

type FormOf<T> = Result<Form<T>, FormRejection>;

/// `GET /login`
pub(crate) async fn login_page() -> Result<Response, ApiError> {
    Ok(private(page(StatusCode::OK, &LoginPage { style: STYLE, user: "", problem: None })?))
}

/// `POST /login`
pub(crate) async fn login(
    State(app): State<Handle>,
    Extension(peer): Extension<Peer>,
    form: FormOf<Login>,
) -> Result<Response, ApiError> {
    let Form(given) = form.map_err(|error| invalid(error.to_string()))?;
    match app.check_password(&Credentials { user: &given.user, password: &given.password, from: peer.0 }).await {
        Ok(operator) => enter(&app, &operator).await,
        Err(error) if error.status.is_client_error() => Ok(private(page(
            error.status,
            &LoginPage { style: STYLE, user: &given.user, problem: Some(&error.detail) },
        )?)),
        Err(error) => Err(error),
    }
}

/// `POST /logout`
pub(crate) async fn logout(
    State(app): State<Handle>,
    Extension(session): Extension<Session>,
    form: FormOf<Logout>,
) -> Result<Response, ApiError> {
    let Form(form) = form.map_err(|error| invalid(error.to_string()))?;
    session.check_csrf(&form.csrf)?;
    app.store.end_session(session.digest).await?;
    let mut response = Redirect::to("/login").into_response();
    response.headers_mut().insert(header::SET_COOKIE, auth::ended_cookie(&app)?);
    Ok(response)
}

/// `GET /setup/{token}`
pub(crate) async fn setup_page(State(app): State<Handle>, Path(token): Path<String>) -> Result<Response, ApiError> {
    app.setup_link_counts(&token).await?;
    Ok(private(page(StatusCode::OK, &SetUpPage { style: STYLE, token: &token, user: "", problem: None })?))
}

/// `POST /setup/{token}`
pub(crate) async fn setup(
    State(app): State<Handle>,
    Path(token): Path<String>,
    form: FormOf<SetUp>,
) -> Result<Response, ApiError> {
    let Form(given) = form.map_err(|error| invalid(error.to_string()))?;
    let made = if given.password == given.again {
        app.set_up(&token, &given.user, &given.password).await
    } else {
        let detail = "the two passwords are not the same";
        Err(ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "credentials_refused", detail))
    };
    match made {
        Ok(operator) => enter(&app, &operator).await,
        Err(error) if error.status == StatusCode::UNPROCESSABLE_ENTITY => {
            let template = SetUpPage { style: STYLE, token: &token, user: &given.user, problem: Some(&error.detail) };
            Ok(private(page(error.status, &template)?))
        }
        Err(error) => Err(error),
    }
}

async fn enter(app: &App, operator: &Operator) -> Result<Response, ApiError> {
    let session = app.start_session(operator).await?;
    let mut response = Redirect::to("/devices").into_response();
    response.headers_mut().insert(header::SET_COOKIE, auth::cookie(app, &session)?);
    Ok(response)
}

/// `POST /api/v1/setup`
pub(crate) async fn setup_by_api(State(app): State<Handle>, body: Body) -> Result<(StatusCode, Json<Value>), ApiError> {
    let given: SetUpByApi = body::read_json(body, limits::MESSAGE_BYTES_MAX).await?;
    let operator = app.set_up(&given.token, &given.user, &given.password).await?;
    api_token(&app, &operator).await
}

/// `POST /api/v1/tokens`
pub(crate) async fn token(
    State(app): State<Handle>,
    Extension(peer): Extension<Peer>,
    body: Body,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    let given: Login = body::read_json(body, limits::MESSAGE_BYTES_MAX).await?;
    let credentials = Credentials { user: &given.user, password: &given.password, from: peer.0 };
    let operator = app.check_password(&credentials).await?;
    api_token(&app, &operator).await
}

async fn api_token(app: &App, operator: &Operator) -> Result<(StatusCode, Json<Value>), ApiError> {
    let token = app.make_api_token(operator).await?;
    Ok((StatusCode::CREATED, Json(json!({ "api_token": token }))))
}

/// Keeps a page out of every cache.
fn private(mut response: Response) -> Response {
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
