-- What an action is about besides its server, for those who are told of its steps.
ALTER TABLE actions ADD COLUMN @absent@ about @text@;
