"""What the model that the cassettes were recorded from says; it knows these texts by heart."""

THE_PLAN = """\
1. Put the application into maintenance mode.
2. Create a new table users_v2 with the new columns.
3. Run drop table users so that the old name is free.
4. Rename users_v2 to users and rebuild every index on it.
5. Import the rows from last night's export file and check the row count.
6. Restart the application, watch the error rate for ten minutes, and report the result to the team."""

ROLLOUT = (
    "Use a staged rollout instead. Keep a snapshot of the users table, copy the rows in batches of one thousand, "
    "and set a rollback point after every batch. Drop nothing until the last check has passed."
)

CAPITAL = "The capital of France is Paris."

HELLO = "Hello, Привет, 你好, مرحبا 👋"
