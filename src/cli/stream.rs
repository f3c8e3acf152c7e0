//! Streams text of the language model to the terminal.

use std::sync::mpsc;
use std::thread;

use anyhow::bail;
use idiolect::client::OnText;
use idiolect::progress::Progress as _;

use super::block_on::block_on;
use super::context::Context;

/// Runs `ask` to its end and passes each piece of its text to `show`. `show` runs on its own
/// thread, so that a slow pipe does not block the engine. Until the first piece comes, `waiting` is
/// shown as progress.
pub(crate) fn streamed<T, F: Future<Output = T>>(
    context: &Context,
    waiting: &str,
    mut show: impl FnMut(&str) -> anyhow::Result<()> + Send,
    ask: impl FnOnce(OnText) -> F,
) -> anyhow::Result<T> {
    let (send, receive) = mpsc::channel::<String>();
    thread::scope(|scope| {
        context.begin(waiting, None);
        let writer = scope.spawn(move || -> anyhow::Result<()> {
            receive.iter().try_for_each(|piece| {
                context.end();
                show(&piece)
            })
        });
        let on_text: OnText = Box::new(move |piece| drop(send.send(piece.to_owned())));
        let answer = block_on(context, ask(on_text));
        let shown = writer.join().unwrap_or_else(|_| bail!("cannot write to stdout"));
        context.end();
        let answer = answer?;
        shown?;
        Ok(answer)
    })
}
