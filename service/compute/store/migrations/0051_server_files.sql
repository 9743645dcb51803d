-- Files that the user asked to have put into the guest, until it has them.
ALTER TABLE servers ADD COLUMN @absent@ files @text@;
