"""People who sign in: roles, teams, the practice's hours, factors and invitations."""
