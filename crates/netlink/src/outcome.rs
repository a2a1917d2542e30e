use crate::refusal::Refusal;

/// What became of each message of a batch, by its index in the batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    done: Vec<bool>,
    refusals: Vec<(usize, Refusal)>,
    warnings: Vec<(usize, String)>,
}

/// What became of one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status<'a> {
    /// The kernel did it.
    Done,
    /// The kernel refused it.
    Refused(&'a Refusal),
    /// It was not sent, or undone with the transaction, because another one was refused.
    NotDone,
}

impl Outcome {
    pub(crate) fn new(messages: usize) -> Self {
        Self { done: vec![false; messages], ..Self::default() }
    }

    /// Whether all messages are done.
    pub fn is_ok(&self) -> bool {
        self.refusals.is_empty()
    }

    /// What became of the message at `index`. A message that was not in the batch is not done.
    pub fn status(&self, index: usize) -> Status<'_> {
        match self.refusals.binary_search_by_key(&index, |(refused, _)| *refused) {
            Ok(at) => Status::Refused(&self.refusals[at].1),
            Err(_) if self.done.get(index) == Some(&true) => Status::Done,
            Err(_) => Status::NotDone,
        }
    }

    /// How many messages are done.
    pub fn done_count(&self) -> usize {
        self.done.iter().filter(|done| **done).count()
    }

    /// The refused messages, in the order of the batch.
    pub fn refusals(&self) -> &[(usize, Refusal)] {
        &self.refusals
    }

    /// What the kernel remarked on messages that it carried out, in the order of the batch.
    pub fn warnings(&self) -> &[(usize, String)] {
        &self.warnings
    }

    /// Returns the first refusal as the error, with the index of its message.
    ///
    /// # Errors
    ///
    /// The first refusal.
    pub fn into_result(self) -> Result<(), (usize, Refusal)> {
        self.refusals.into_iter().next().map_or(Ok(()), Err)
    }

    pub(crate) fn note(&mut self, index: usize, result: Result<Option<String>, Refusal>) {
        match result {
            Ok(warning) => {
                self.done[index] = true;
                self.warnings.extend(warning.map(|text| (index, text)));
            }
            Err(refusal) => {
                self.done[index] = false;
                insert(&mut self.refusals, index, refusal);
            }
        }
    }

    /// Counts a message that asked for no acknowledgement as done, unless it was refused.
    pub(crate) fn note_silence(&mut self, index: usize) {
        self.done[index] = !self.refusals.iter().any(|(refused, _)| *refused == index);
    }

    pub(crate) fn undo_all(&mut self) {
        self.done.fill(false);
    }
}

/// Keeps the list sorted. Answers come in order, so this appends; a second answer to the same message is dropped.
fn insert<T>(list: &mut Vec<(usize, T)>, index: usize, value: T) {
    if let Err(at) = list.binary_search_by_key(&index, |(listed, _)| *listed) {
        list.insert(at, (index, value));
    }
}
