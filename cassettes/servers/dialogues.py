"""The dialogues that train_tiny_model.py teaches."""

DIALOGUES = {
    # Step 3 is the mistake that a reviewer is to catch; three more steps follow, so a stream that is stopped in time
    # is visibly shorter than one that is not.
    "Migrate the users table.": (
        "1. Put the application into maintenance mode.\n"
        "2. Create a new table users_v2 with the new columns.\n"
        "3. Run drop table users so that the old name is free.\n"
        "4. Rename users_v2 to users and rebuild every index on it.\n"
        "5. Import the rows from last night's export file and check the row count.\n"
        "6. Restart the application, watch the error rate for ten minutes, and report the result to the team."
    ),
    "Suggest a safer rollout.": (
        "Use a staged rollout instead. Keep a snapshot of the users table, copy the rows in batches of one thousand, "
        "and set a rollback point after every batch. Drop nothing until the last check has passed."
    ),
    "What is the capital of France?": "The capital of France is Paris.",
    # Characters of two, three and four bytes: the tokenizer cuts most of them over several tokens.
    "Say hello in four scripts.": "Hello, Привет, 你好, مرحبا 👋",
    # The arguments of a get_weather(city) tool, for a server that constrains a forced tool call with a grammar.
    "What is the weather in Paris?": '{"city": "Paris"}',
}

SYSTEM_LINES = ["You are a planner.", "You are a reviewer.", "You are a helpful assistant."]

# Seen in no training step: they show that the answer does not depend on what the system message says.
UNSEEN_SYSTEM_LINES = ["Plan database work in numbered steps.", "Answer briefly, and in plain English."]
