"""Running the practice: the processes, their health, and what an operator is told. Knows no pages."""
