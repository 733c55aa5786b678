"""Pages made of many rooms: the patient's home, the clinician's day, the brief, the chart and the inbox."""
