curl -H "Authorization: Bearer $ANITA_TOKEN" \
  -d '{"device_id": "cart-7", "location": {"x": 1.5, "y": 2, "z": 0}}' \
  http://127.0.0.1:8080/api/v1/locations
