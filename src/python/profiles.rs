//! The profile of a user: what sets their writing apart.

use idiolect_core::client::Usage;
use idiolect_core::corpus::{ReviewId, Target, View};
use idiolect_core::difference::Difference;
use idiolect_core::difference::statements::{StatementProfile, revisions};
use idiolect_core::methods::{
    self, IdiolectOptions, MethodInputs, MethodOptions, Profiled, Statements,
};
use idiolect_core::task::Cut;
use serde::{Deserialize, Serialize};

use crate::failure::{CallFailure, Result};
use crate::parts::EngineParts;
use crate::progress::CallProgress;
use crate::settings::SettingsArgs;

/// The options of `idiolect profile`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ProfileArgs {
    user: String,
    /// `idiolect` or `dpl`.
    method: String,
    item: Option<String>,
    title: Option<String>,
    before: Option<i64>,
    version: Option<usize>,
    settings: SettingsArgs,
}

/// The JSON object of `idiolect profile --json`.
#[derive(Serialize)]
struct StatementsObject<'a> {
    #[serde(flatten)]
    profile: &'a StatementProfile,
    abstains: bool,
    abstention: Option<String>,
}

/// The JSON object of `idiolect profile --method dpl --json`.
#[derive(Serialize)]
struct DplObject<'a> {
    user: &'a str,
    item: Option<&'a str>,
    differences: &'a [Difference],
    summary: &'a str,
    reviews: &'a [ReviewId],
    cut: Vec<&'a Cut>,
    #[serde(flatten)]
    usage: Usage,
}

/// A profile, and its Markdown if it has statements.
#[derive(Serialize)]
struct ProfileTold<T> {
    profile: T,
    markdown: Option<String>,
}

/// The object of `idiolect profile --json`, and the Markdown of a profile in statements.
pub(crate) fn profile(
    work: &EngineParts,
    args: &ProfileArgs,
    progress: &CallProgress,
) -> Result<String> {
    let task = args.settings.task()?;
    let options = options(args.settings.options(&task)?);
    let store = work.store()?;
    let item = args.item.as_deref().map(|id| store.item(id)).transpose()?;
    let view = View::all(&store);
    let view = match args.before {
        Some(time) => view.before(time),
        None => view,
    };
    let user = args.user.as_str();
    let view = match &item {
        Some(item) => view.without_text(user, &item.id)?,
        None => {
            store.history(user)?;
            view
        }
    };
    let target = item.map(|item| Target {
        user: args.user.clone(),
        item,
        rating: None,
        title: args.title.clone(),
        context: None,
    });
    let all_revisions = revisions(&store, user)?;
    let shown_revisions = match args.version {
        None => &all_revisions[..],
        Some(n) => all_revisions.get(..n).ok_or_else(|| {
            let newest = all_revisions.len();
            CallFailure::argument(format!(
                "the profile of `{user}` has versions 0 to {newest}, not {n}"
            ))
        })?,
    };
    let is_dpl = match args.method.as_str() {
        "idiolect" => false,
        "dpl" => true,
        other => {
            return Err(CallFailure::argument(format!(
                "method: got `{other}`, expected idiolect or dpl"
            )));
        }
    };
    let (lm, encoder) = (work.lm(progress)?, work.encoder(progress)?);
    let inputs = MethodInputs {
        view,
        model: &lm,
        peers: Some(encoder.as_ref() as _),
        reward: None,
        task: &task,
        progress,
        held_out: &[],
    };
    if is_dpl {
        let made = methods::profile(&inputs, user, target.as_ref(), &options);
        let Profiled { profile, usage } = progress.block_on(made)?;
        let cut: Vec<_> =
            profile.differences.iter().flat_map(|d| &d.cut).chain(&profile.cut).collect();
        let profile = DplObject {
            user: &profile.user,
            item: target.as_ref().map(|target| target.item.id.as_str()),
            differences: &profile.differences,
            summary: &profile.summary,
            reviews: &profile.reviews,
            cut,
            usage,
        };
        return Ok(serde_json::to_string(&ProfileTold { profile, markdown: None })?);
    }
    let task_of_profile = task.without_dimensions(&options.without_dimensions)?;
    let made = methods::stated_profile(&inputs, user, &options, shown_revisions);
    let profile = progress.block_on(made)?;
    let markdown = Some(profile.to_markdown(&task_of_profile));
    let (abstains, abstention) = (profile.abstains(), profile.abstention());
    let profile = StatementsObject { profile: &profile, abstains, abstention };
    Ok(serde_json::to_string(&ProfileTold { profile, markdown })?)
}

/// The settings of a profile: a text may be written without statements, a profile consists of them.
fn options(options: MethodOptions) -> MethodOptions {
    let statements = match options.idiolect.statements {
        _ if !options.differences => Statements::None,
        Statements::None => Statements::Measured,
        wanted => wanted,
    };
    MethodOptions { idiolect: IdiolectOptions { statements, ..options.idiolect }, ..options }
}
