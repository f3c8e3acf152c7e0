//! What sets a user's texts apart, told by the language model, and the profile it makes.
