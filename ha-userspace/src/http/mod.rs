//! The status for browsers and for Prometheus, by HTTP: read only, and off unless asked for.
//!
//! On a thread of its own, which asks the main thread: what a scrape costs, nothing else waits for.

mod classic;
mod metrics;

use std::{
    convert::Infallible,
    io,
    net::{SocketAddr, TcpListener},
    sync::Arc,
    thread,
    time::Duration,
};

use http_body_util::Full;
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Bytes, Incoming},
    header::{
        ACCEPT, ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderMap,
        HeaderValue, VARY, X_CONTENT_TYPE_OPTIONS,
    },
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{net, runtime, sync::Semaphore, task::LocalSet, time::timeout};
use tracing::{info, warn};

use crate::control::{Answer as Told, Questions, Request as Asked};

/// Connections at once; others wait in the kernel's queue, which has a limit too.
const CONNECTIONS_MAX: usize = 32;
/// For a request's head to arrive.
const HEAD_WITHIN: Duration = Duration::from_secs(5);
/// Of a connection: who keeps on asking connects again.
const CONNECTION_LIFE: Duration = Duration::from_mins(5);
/// For an answer of the main thread, which may be busy with a reload.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// Between two tries to take a connection, after the kernel refused one.
const AFTER_REFUSAL: Duration = Duration::from_millis(100);
/// Nothing from outside: not for the page's script either.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; \
                      connect-src 'self'; img-src data:";
const JSON: &str = "application/json";
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const CLASSIC_METRICS: &str = "text/plain; version=0.0.4; charset=utf-8";
const PAGE: &str = include_str!("page.html");

type Answer = Response<Full<Bytes>>;

/// Serves at `address` for as long as the process lives.
///
/// # Errors
/// One sentence for the operator: the address cannot be had.
pub(crate) fn serve(address: SocketAddr, questions: Questions) -> io::Result<()> {
    let failed = |error| {
        io::Error::other(format!("--http {address}: {error}: choose another address or port"))
    };
    let listener = TcpListener::bind(address).map_err(failed)?;
    listener.set_nonblocking(true)?;
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    let address = listener.local_addr()?;
    thread::Builder::new().name("ha-http".to_owned()).spawn(move || {
        LocalSet::new().block_on(&runtime, async {
            if let Err(error) = accept(listener, questions).await {
                warn!("the status cannot be had by HTTP any more: {error}");
            }
        });
    })?;
    info!("status by HTTP at http://{address}/");
    if !address.ip().is_loopback() {
        warn!("--http {address}: whoever reaches it can read the status: see to a packet filter");
    }
    Ok(())
}

async fn accept(listener: TcpListener, questions: Questions) -> io::Result<()> {
    let listener = net::TcpListener::from_std(listener)?;
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        // Nobody closes it.
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return Ok(()) };
        let Ok((stream, _)) = listener.accept().await else {
            // Without a descriptor to be had, it would be refused again at once.
            pause().await;
            continue;
        };
        let questions = questions.clone();
        tokio::task::spawn_local(async move {
            let service = service_fn(|request| {
                let questions = questions.clone();
                async move { Ok::<_, Infallible>(respond(&request, &questions).await) }
            });
            let mut protocol = http1::Builder::new();
            protocol.timer(TokioTimer::new()).header_read_timeout(HEAD_WITHIN);
            let connection = protocol.serve_connection(TokioIo::new(stream), service);
            // A client that breaks off, or stays for too long, is nobody's trouble.
            timeout(CONNECTION_LIFE, connection).await.ok();
            drop(place);
        });
    }
}

#[expect(clippy::disallowed_methods, reason = "nothing waits for it but new connections")]
async fn pause() {
    tokio::time::sleep(AFTER_REFUSAL).await;
}

async fn respond(request: &Request<Incoming>, questions: &Questions) -> Answer {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut answer = plain(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD are answered\n");
        answer.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return answer;
    }
    let path = request.uri().path();
    if path == "/" {
        return answer(StatusCode::OK, "text/html; charset=utf-8", PAGE);
    }
    let asked = match path {
        "/status" | "/metrics" | "/healthz" => Asked::Status,
        "/history" => Asked::History,
        _ => {
            let text = "there are /, /status, /history, /metrics and /healthz\n";
            return plain(StatusCode::NOT_FOUND, text);
        }
    };
    match timeout(ANSWER_WITHIN, questions.wonder(asked)).await.ok().flatten() {
        Some(Told::History(history)) => answer(StatusCode::OK, JSON, history.text()),
        Some(Told::Status(status)) => match path {
            "/status" => answer(StatusCode::OK, JSON, status.text()),
            "/metrics" => {
                let text = metrics::render(status);
                if takes_open_metrics(request.headers()) {
                    answer(StatusCode::OK, OPEN_METRICS, text)
                } else {
                    answer(StatusCode::OK, CLASSIC_METRICS, classic::from_open_metrics(&text))
                }
            }
            _ => plain(StatusCode::OK, "ok\n"),
        },
        Some(Told::Done(_) | Told::Refused(_)) | None => {
            let text = "the engine thread does not answer\n";
            plain(StatusCode::SERVICE_UNAVAILABLE, text)
        }
    }
}

/// Whether it is named: Prometheus names it first, and who takes just anything knows the older format.
fn takes_open_metrics(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(ACCEPT).into_iter().filter_map(|value| value.to_str().ok());
    accepted.flat_map(|value| value.split(',')).any(|range| {
        let mut parts = range.split(';').map(str::trim);
        let is_it = parts.next() == Some("application/openmetrics-text");
        is_it && !parts.any(|part| matches!(part, "q=0" | "q=0.0"))
    })
}

fn plain(code: StatusCode, text: &'static str) -> Answer {
    answer(code, "text/plain; charset=utf-8", text)
}

fn answer(code: StatusCode, form: &'static str, text: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(text.into()));
    *answer.status_mut() = code;
    let headers = [
        (CONTENT_TYPE, form),
        (CACHE_CONTROL, "no-store"),
        (VARY, "Accept"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (CONTENT_SECURITY_POLICY, POLICY),
    ];
    for (name, value) in headers {
        answer.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    answer
}
