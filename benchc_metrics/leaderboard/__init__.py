"""What is handed in and what is shown: submissions, their verification, and the leaderboard made of them."""
