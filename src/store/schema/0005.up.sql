-- Schema 5: what stands beside a part of a prompt, the order of the queue, and answers to questions that are under way.
-- JSON: that it is forwarded, and from whom; what it replies to; …
ALTER TABLE turn_parts ADD COLUMN mark TEXT CHECK (mark IS NULL OR json_valid(mark));
-- Turns that wait run in the order of their place, those of one place in the order in which they came.
ALTER TABLE turns ADD COLUMN place INTEGER NOT NULL DEFAULT 0;
-- JSON: what a person has chosen so far; that the next message is the answer; …
ALTER TABLE questions ADD COLUMN progress TEXT CHECK (progress IS NULL OR json_valid(progress));
