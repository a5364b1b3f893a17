-- The way back from schema 2: questions and the audit are gone.
DROP TABLE audit;
DROP TABLE questions;
