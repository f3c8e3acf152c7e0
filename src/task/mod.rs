//! The task file: its fields, its standard, its prompt templates, and prompts that fit.
