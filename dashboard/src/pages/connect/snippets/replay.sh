anita replay --url http://127.0.0.1:8080/ --token "$ANITA_TOKEN" \
  --file log.csv --speed 10 --loop
