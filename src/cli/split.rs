//! `idiolect split`.

use idiolect::corpus::split::{
    self, FunnelStep, Preset, RepeatedItems, RepeatedTexts, Required, SplitParameters, SplitPart,
};

use super::context::Context;
use super::{output, values};

#[derive(Debug, clap::Args)]
#[command(
    long_about = "Hold out reviews for evaluation, with the filters of DPL\n\n\
        Filters users, items and reviews, and holds out the newest reviews of every user for \
        `idiolect evaluate`. The store keeps all reviews.",
    after_help = AFTER_HELP
)]
pub(crate) struct Args {
    /// Name of the split; change it to keep several. An existing split of this name is replaced
    #[arg(long, default_value = "default", allow_hyphen_values = true)]
    name: String,
    /// Thresholds to start from; each can be changed by its own option. dpl: those of the DPL paper;
    /// small: for a few thousand reviews, users with 8 or more, the last 2 held out (val, test);
    /// none: no filter, the last review of every user with 2 or more is held out
    #[arg(
        long,
        value_name = "NAME",
        default_value = "dpl",
        value_parser = values::named::<Preset>()
    )]
    preset: Preset,
    /// Minimum length of a review, in characters [dpl: 200]
    #[arg(long, value_name = "N", value_parser = values::rows(0))]
    min_chars: Option<usize>,
    /// Fields that a review must have, separated by commas [dpl: all]
    #[arg(
        long,
        value_name = "FIELD,...",
        value_delimiter = ',',
        num_args = 0..,
        value_parser = values::named::<Required>()
    )]
    require: Option<Vec<Required>>,
    /// Minimum length of an item description, in characters [dpl: 100]
    #[arg(long, value_name = "N", value_parser = values::rows(0))]
    min_description: Option<usize>,
    /// Maximum length of an item description, in characters [dpl: 2000]
    #[arg(long, value_name = "N", value_parser = values::rows(0))]
    max_description: Option<usize>,
    /// Which reviews to keep if a user has several of one item [dpl: keep-newest]
    #[arg(long, value_name = "WHICH", value_parser = values::named::<RepeatedItems>())]
    repeated_items: Option<RepeatedItems>,
    /// Which reviews to keep if a user has several with the same text [dpl: keep-newest]
    #[arg(long, value_name = "WHICH", value_parser = values::named::<RepeatedTexts>())]
    repeated_texts: Option<RepeatedTexts>,
    /// Minimum number of users per item [dpl: 8]
    #[arg(long, value_name = "N", value_parser = values::rows(0))]
    item_users: Option<usize>,
    /// Minimum number of reviews per user [dpl: 18]
    #[arg(long, value_name = "N", value_parser = values::rows(0))]
    min_reviews: Option<usize>,
    /// Maximum number of reviews per user; users with more are left out [dpl: 500]
    #[arg(long, value_name = "N", value_parser = values::rows(0))]
    max_reviews: Option<usize>,
    /// Minimum number of users who have an item in their profile [dpl: 5]
    #[arg(long, value_name = "N", value_parser = values::rows(0))]
    profile_item_users: Option<usize>,
    /// Minimum number of reviews in a user's profile [dpl: 8]
    #[arg(long, value_name = "N", value_parser = values::rows(0))]
    profile_reviews: Option<usize>,
    /// Number of each user's newest reviews held out for training; they precede those of --val and
    /// --test [dpl: 8]
    #[arg(long, value_name = "N", value_parser = values::rows(0))]
    train: Option<usize>,
    /// Number of reviews held out after those of --train, for choosing settings [dpl: 1]
    #[arg(long, value_name = "N", value_parser = values::rows(0))]
    val: Option<usize>,
    /// Number of newest reviews held out for testing [dpl: 1]
    #[arg(long, value_name = "N", value_parser = values::rows(0))]
    test: Option<usize>,
}

const AFTER_HELP: &str = "\
The filters of users and items are repeated until nothing changes. The same store and options give
the same split.

Examples:
  idiolect split                        the thresholds of the paper
  idiolect split --preset small         every user with 8 reviews or more, one for testing
  idiolect split --name long --min-chars 400 --item-users 5";

#[derive(serde::Serialize)]
struct SplitJson<'a> {
    name: &'a str,
    preset: Preset,
    parameters: &'a SplitParameters,
    users: u64,
    items: u64,
    reviews: u64,
    train: usize,
    val: usize,
    test: usize,
    left: &'a [FunnelStep],
}

pub(crate) fn run(args: Args, context: &Context) -> anyhow::Result<()> {
    let store = context.store()?;
    let parameters = parameters(&args);
    let (split, left) = split::make(&store, &args.name, &parameters, context)?;
    let n = |part| split.held_out(part).count();
    let (train, val, test) = (n(SplitPart::Train), n(SplitPart::Val), n(SplitPart::Test));
    let Some(last) = left.last() else { return Ok(()) };
    if context.globals.json {
        let FunnelStep { users, items, reviews, .. } = *last;
        let (name, preset, parameters) = (&args.name, args.preset, &parameters);
        let left = &left;
        return output::json(&SplitJson {
            name,
            preset,
            parameters,
            users,
            items,
            reviews,
            train,
            val,
            test,
            left,
        });
    }
    output::line(&format!("{:>9} {:>9} {:>9}  after", "reviews", "users", "items"))?;
    for l in &left {
        output::line(&format!("{:>9} {:>9} {:>9}  {}", l.reviews, l.users, l.items, l.after))?;
    }
    output::line(&format!(
        "split `{}`: {} users; held out for train {train}, val {val}, test {test}",
        args.name, last.users
    ))
}

fn parameters(args: &Args) -> SplitParameters {
    let preset = SplitParameters::of(args.preset);
    SplitParameters {
        min_chars: args.min_chars.unwrap_or(preset.min_chars),
        required: args.require.clone().unwrap_or(preset.required),
        min_description: args.min_description.unwrap_or(preset.min_description),
        max_description: args.max_description.unwrap_or(preset.max_description),
        repeated_items: args.repeated_items.unwrap_or(preset.repeated_items),
        repeated_texts: args.repeated_texts.unwrap_or(preset.repeated_texts),
        item_users: args.item_users.unwrap_or(preset.item_users),
        min_reviews: args.min_reviews.unwrap_or(preset.min_reviews),
        max_reviews: args.max_reviews.unwrap_or(preset.max_reviews),
        profile_item_users: args.profile_item_users.unwrap_or(preset.profile_item_users),
        profile_reviews: args.profile_reviews.unwrap_or(preset.profile_reviews),
        train: args.train.unwrap_or(preset.train),
        val: args.val.unwrap_or(preset.val),
        test: args.test.unwrap_or(preset.test),
    }
}
