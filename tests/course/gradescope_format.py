"""The form of results.json that Gradescope reads, as a JSON schema."""

# "Output format" in Gradescope's Autograder Specifications, gradescope-autograders.readthedocs.io/en/latest/specs/
# (github.com/gradescope/autograder_samples, docs/specs.md). All fields are optional there but for the score.
SEEN = {"enum": ["hidden", "after_due_date", "after_published", "visible"]}
FORMAT = {"enum": ["text", "html", "simple_format", "md", "ansi"]}
NUMBER, STRING, OBJECT = {"type": "number"}, {"type": "string"}, {"type": "object"}
TEST = {"type": "object", "additionalProperties": False, "properties": {
    "score": NUMBER, "max_score": NUMBER, "status": {"enum": ["passed", "failed"]}, "name": STRING,
    "name_format": FORMAT, "number": STRING, "output": STRING, "output_format": FORMAT,
    "tags": {"type": "array", "items": STRING}, "visibility": SEEN, "extra_data": OBJECT}}
SCHEMA = {"type": "object", "additionalProperties": False, "required": ["score", "tests"], "properties": {
    "score": NUMBER, "execution_time": NUMBER, "output": STRING, "output_format": FORMAT,
    "test_output_format": FORMAT, "test_name_format": FORMAT, "visibility": SEEN, "stdout_visibility": SEEN,
    "extra_data": OBJECT, "tests": {"type": "array", "items": TEST}, "leaderboard": {"type": "array"}}}
