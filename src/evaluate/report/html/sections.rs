//! One section per group of measures: introduction, figures and plots.

use super::metrics::{MetricSection, MetricView};
use super::tags::{Tag, tag};
use super::{Page, Section, forest, table};

/// Section of a group; `None` if the report has none of its measures.
pub(super) fn section(page: &Page<'_>, group: MetricSection) -> Option<Section> {
    let measures: Vec<&MetricView> = page.measures.iter().filter(|m| m.group == group).collect();
    if measures.is_empty() {
        return None;
    }
    let (id, heading, words) = words(group);
    let part = Section::new(id, heading, words);
    let part = part.put(table::figures(page, &measures, heading));
    let part = part.put(terms(&measures));
    Some(part.put(forest::plots(page, &measures)))
}

/// Anchor, heading and introduction of a group.
fn words(group: MetricSection) -> (&'static str, &'static str, &'static str) {
    match group {
        MetricSection::Likelihood => (
            "likelihood",
            "Likelihood of the real text",
            "How well each method's prompt foretells what the person really wrote, in bits a token; \
             nothing has to be written for it. The likelihood lift is what the user's own history \
             saves over other users' histories: above 0, the person's past makes their real text \
             more probable than a stranger's past does, and length and luck of a written text play \
             no part in that.",
        ),
        MetricSection::Lexical => (
            "lexical",
            "Words shared with the real text",
            "Each written text is held against the real one. BLEU and ROUGE are driven by length: a \
             text as long as the real one scores higher whoever it sounds like, so read them beside \
             the length ratio and the brevity penalty, and do not take a difference here for \
             personalization by itself.",
        ),
        MetricSection::WrongUser => (
            "wrong-user",
            "Wrong-user gain",
            "The same scores, less what the method reaches when it is given a matched stranger's \
             history in place of the user's. What length, genre and topic bring is on both sides and \
             cancels; a gain above 0 comes from the person, and at 0 the method writes as well from \
             anybody's past.",
        ),
        MetricSection::Swap => (
            "swap",
            "Swap test",
            "Two users, one item, neither rating nor title: the method writes as each of them. The \
             test succeeds where the two texts fit the other texts of those they were written for \
             better than the other way round. 50\u{202f}% is chance, and what texts that ignore the \
             user reach by construction; the ceiling is what the users' real texts reach under the \
             same closeness, and p is that of chance.",
        ),
        MetricSection::Identification => (
            "identification",
            "Identification",
            "Every text of the swap test is held against up to fifty users, the one it was written \
             for among them: how far in front does that user come? The ceiling is the same for the \
             real texts.",
        ),
        MetricSection::Judge => (
            "judge",
            "Judge",
            "A language model's opinion of how near a text comes to the real one. The judge sees no \
             other person's text, so it cannot tell personalization from quality; read it as one \
             opinion beside the measures above.",
        ),
        MetricSection::NeutralTitle => (
            "neutral-title",
            "Without the title",
            "The same measures where the text's real title is withheld. A title says in the \
             person's own voice what is coming; what a method keeps without it, it has from the \
             history.",
        ),
        MetricSection::Other => (
            "other",
            "Other measures",
            "Measures that this page knows only by name; each figure is the mean over users with \
             its interval.",
        ),
    }
}

/// Definitions of the measures.
fn terms(measures: &[&MetricView]) -> Tag {
    let list = measures.iter().fold(tag("dl"), |list, measure| {
        let term = tag("dt").text(&measure.label);
        let name = tag("code").text(&measure.name);
        let meaning = tag("dd").text(&measure.meaning).text(" (").put(name).text(")");
        list.put(term).put(meaning)
    });
    tag("details").put(tag("summary").text("What the columns are")).put(list)
}
