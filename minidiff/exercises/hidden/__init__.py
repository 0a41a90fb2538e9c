"""What only the grader asks: HIDDEN = {id: (Case, ...)} of a chapter, with other shapes, dtypes and arguments."""
