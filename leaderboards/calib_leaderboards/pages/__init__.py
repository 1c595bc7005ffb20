"""The leaderboard's README and static site, made from the entries of a store."""
