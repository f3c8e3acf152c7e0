//! `idiolect serve`.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::FromArgMatches as _;
use idiolect::encoder::Encoder;
use idiolect::lm::Lm;
use idiolect::methods::Method;
use idiolect::progress::Progress as _;
use idiolect::server::{ApiKeys, PersonalSettings, ServedModels, Server, ServerOptions};

use super::context::Context;
use super::settings::MethodArgs;
use super::{output, values};

#[derive(Debug, clap::Args)]
#[command(
    long_about = "Serve the models over HTTP, with OpenAI's routes\n\n\
        Clients of OpenAI's API use http://127.0.0.1:8080/v1 as base URL. The model NAME (that of \
        --lm) is the language model alone. NAME+METHOD, e.g. NAME+idiolect, writes as a user of the \
        store: the request names the user in `user`, or in the model, NAME+idiolect@marta. The text \
        is that of `idiolect write` with the same seed.\n\n\
        A browser shows the page at http://127.0.0.1:8080/: the people and what sets them apart, \
        texts as they are written and why, methods side by side.\n\n\
        Only programs of this machine reach the server, unless --host says otherwise; then clients \
        need a key (--api-key-file). Texts are not logged. Ctrl-C stops it after running answers \
        have ended.",
    after_help = EXAMPLES
)]
pub(crate) struct Args {
    /// Address to listen on; one that other machines can reach needs --api-key-file
    #[arg(long, value_name = "ADDRESS", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    host: IpAddr,
    /// Port to listen on; 0 takes a free one, which is printed
    #[arg(long, value_name = "N", default_value_t = 8080)]
    port: u16,
    /// File of keys that clients must give, one a line, at least 16 bytes; `users=NAME,...` after a
    /// key restricts it to these users
    #[arg(long, env = "IDIOLECT_API_KEY_FILE", value_name = "FILE")]
    api_key_file: Option<PathBuf>,
    /// Names of this machine, besides loopback names, by which clients may address it; needed with
    /// --host
    #[arg(long, value_name = "NAME,...", value_delimiter = ',')]
    allow_host: Vec<String>,
    /// Origins whose web pages may use the server, e.g. https://chat.example; without it none may
    #[arg(long, value_name = "ORIGIN,...", value_delimiter = ',')]
    cors_origin: Vec<String>,
    /// Header that names the user to write as, e.g. X-OpenWebUI-User-Id; needs --api-key-file
    #[arg(long, value_name = "NAME", value_parser = values::header_name)]
    user_header: Option<String>,
    /// Maximum number of requests that are computed or wait; further ones get status 429
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = values::sequences())]
    max_queue: usize,
    /// Maximum time for a whole answer, in seconds; raise it for slow models
    #[arg(long, value_name = "SECONDS", default_value_t = 600,
          value_parser = values::number(1..=86_400))]
    timeout: usize,
    /// Maximum number of tokens of an answer whose request gives none
    #[arg(long, value_name = "N", default_value_t = 1024, value_parser = values::tokens(1))]
    default_max_tokens: usize,
    /// Serve no embeddings and no methods that compare users, and load no sentence encoder
    #[arg(long)]
    no_encoder: bool,
    #[command(flatten)]
    settings: MethodArgs<true>,
}

const EXAMPLES: &str = "\
Examples:
  idiolect serve
  idiolect --lm qwen2.5-1.5b-instruct --store reviews.sqlite serve --port 9000
  idiolect serve --host 0.0.0.0 --allow-host box.example --api-key-file keys.txt

  curl http://127.0.0.1:8080/v1/models
  curl http://127.0.0.1:8080/v1/chat/completions -d '{\"model\": \"NAME+idiolect\", \"user\": \"marta\",
    \"messages\": [{\"role\": \"user\", \"content\": \"A kettle with a whistle\"}]}'";

impl Args {
    /// The arguments that a command line has, without the name of the command.
    pub(super) fn of(arguments: &[&str]) -> anyhow::Result<Self> {
        let command = <Self as clap::Args>::augment_args(clap::Command::new("serve"));
        let matches = command.no_binary_name(true).try_get_matches_from(arguments)?;
        Ok(Self::from_arg_matches(&matches)?)
    }
}

pub(crate) fn run(args: Args, context: &Context) -> anyhow::Result<()> {
    listen(&args, context, None, &|url| format!("{url}/"))
}

/// Serves until Ctrl-C, with models that are loaded already, if given. `page` gets the address of the
/// server and returns that of the page to print.
pub(super) fn listen(
    args: &Args,
    context: &Context,
    loaded: Option<(Lm, Encoder)>,
    page: &dyn Fn(&str) -> String,
) -> anyhow::Result<()> {
    let keys = match &args.api_key_file {
        Some(path) => ApiKeys::read(path)?,
        None => ApiKeys::default(),
    };
    let personal = personal(args, context)?;
    let options = ServerOptions {
        keys,
        allowed_hosts: args.allow_host.clone(),
        cors_origins: args.cors_origin.clone(),
        user_header: args.user_header.clone(),
        max_queue: args.max_queue,
        timeout: Duration::from_secs(args.timeout as u64),
        default_max_tokens: args.default_max_tokens,
    };
    // Listen first: an address in use is told before anything is loaded.
    let server = Server::bind(SocketAddr::new(args.host, args.port), options)?;
    let (lm, encoder) = match loaded {
        Some((lm, encoder)) => (lm, Some(encoder)),
        None => load(args, context)?,
    };
    let name = lm.name().to_owned();
    let has_store = personal.is_some();
    let encoder = encoder.map(Arc::new);
    server.serve(ServedModels { lm, encoder, personal });
    announce(&server, &name, has_store, page, context)?;
    server.wait(|| context.stop_requested());
    Ok(())
}

/// Loads the language model, and the sentence encoder unless it is not wanted or not there.
fn load(args: &Args, context: &Context) -> anyhow::Result<(Lm, Option<Encoder>)> {
    let lm = context.lm()?;
    context.note_small_model(&lm);
    if args.no_encoder || args.settings.no_peer_text {
        return Ok((lm, None));
    }
    match context.encoder() {
        Ok(encoder) => Ok((lm, Some(encoder))),
        Err(error) => {
            output::note(&format!("no embeddings, no methods that compare users: {error}"));
            Ok((lm, None))
        }
    }
}

/// The settings of personal models; `None`, with a note, if there is no store.
fn personal(args: &Args, context: &Context) -> anyhow::Result<Option<PersonalSettings>> {
    let task = args.settings.task()?;
    let options = args.settings.options(&task)?;
    args.settings.check_task_shows_no_peers(&task)?;
    args.settings.check_peer_text(&[Method::IDIOLECT], &options)?;
    for method in Method::all() {
        options.sampling.over(&task.stage(method.stage())?.sampling).check()?;
    }
    let store = context.globals.store.clone();
    if !store.exists() {
        let store = store.display();
        output::note(&format!("no personal models: there is no store at {store}"));
        return Ok(None);
    }
    // An unreadable store is told before anything is loaded.
    idiolect::corpus::Store::open_existing(&store)?;
    Ok(Some(PersonalSettings { store, task, options }))
}

/// Prints where the server listens: with `--json` as JSON on stdout.
fn announce(
    server: &Server,
    name: &str,
    has_store: bool,
    page: &dyn Fn(&str) -> String,
    context: &Context,
) -> anyhow::Result<()> {
    let url = format!("http://{}", server.address());
    if context.globals.json {
        return output::json(
            &serde_json::json!({ "url": url, "model": name, "personal": has_store }),
        );
    }
    output::line(&format!("listening on {url}/v1, model {name}\nthe page: {}", page(&url)))
}
